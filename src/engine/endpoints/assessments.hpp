#pragma once
// Decides how the assessments of a trace come about. One that overrides another makes it invalid when it is
// sent after it, by a call of its own, which can be made once; one that is sent within the trace's info is
// merged by id, and made valid again (mlflow-rest 7.5). Pure.

#include <string>
#include <vector>

#include "protocol/mlflow/json.hpp"

namespace mlferry::engine {

struct AssessmentPlan {
  mlflow::json::array with_info;                 // sent within the info, first
  std::vector<std::string> remove;               // then deleted in the destination, by id
  std::vector<mlflow::json::object> afterwards;  // then sent one by one, in this order
};

// `wanted`: as they are to be, ids mapped; `existing`: as the destination has them. What is equal is left
// alone.
AssessmentPlan plan_assessments(const mlflow::json::array& wanted, const mlflow::json::array& existing);

}  // namespace mlferry::engine
