#pragma once
// What the calls on registered models and on model versions share.

#include <string_view>
#include <vector>

#include "support/fake_calls.hpp"
#include "support/fake_filter.hpp"

namespace mlferry::test::fake {

inline constexpr std::string_view prompt_tag = "mlflow.prompt.is_prompt";

RegisteredModel& need_model(Call& call);
ModelVersion& need_version(Call& call, RegisteredModel& model);  // not a deleted one
bool asks_for_prompts(const std::vector<Clause>& clauses);

// The rules of 3.17 for a version's source (mlflow-rest 6.3). May fill in `run_id`; throws Failure.
void check_source(State& state, std::string_view source, std::string& run_id, std::string_view model_id);

}  // namespace mlferry::test::fake
