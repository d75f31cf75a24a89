#include "engine/kind_order.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace mlferry::engine {

const std::vector<KindNeeds>& kind_needs() {
  static const std::vector<KindNeeds> graph{
      {Kind::workspace, {}},
      {Kind::experiment, {Kind::workspace}},
      {Kind::run, {Kind::experiment}},
      {Kind::logged_model, {Kind::run}},
      {Kind::registered_model, {Kind::run, Kind::logged_model}},
      {Kind::prompt, {Kind::experiment, Kind::run}},
      {Kind::trace, {Kind::run, Kind::prompt}},
      {Kind::label_schema, {Kind::experiment}},
      {Kind::scorer, {Kind::experiment, Kind::gateway_endpoint}},  // refused while the endpoint it calls is not there
      {Kind::evaluation_dataset, {Kind::experiment}},
      {Kind::issue, {Kind::run}},
      {Kind::review_queue, {Kind::label_schema, Kind::trace}},
      {Kind::mcp_server, {Kind::workspace}},
      {Kind::gateway_secret, {Kind::workspace}},
      {Kind::gateway_model_definition, {Kind::gateway_secret}},
      {Kind::gateway_endpoint, {Kind::gateway_model_definition, Kind::experiment}},
      {Kind::gateway_guardrail, {Kind::gateway_endpoint, Kind::scorer}},
      {Kind::gateway_budget, {Kind::gateway_endpoint}},
      // Grants name almost anything.
      {Kind::user,
       {Kind::experiment, Kind::registered_model, Kind::prompt, Kind::scorer, Kind::gateway_secret,
        Kind::gateway_model_definition, Kind::gateway_endpoint}},
      {Kind::role, {Kind::user}},  // its members
      // Last: they would fire on all that is written.
      {Kind::webhook,
       {Kind::registered_model, Kind::trace, Kind::evaluation_dataset, Kind::issue, Kind::review_queue, Kind::mcp_server,
        Kind::gateway_guardrail, Kind::gateway_budget, Kind::role}},
  };
  return graph;
}

std::vector<Kind> order_of(const std::vector<KindNeeds>& graph) {
  std::vector<Kind> order;
  auto const done = [&order](Kind kind) { return std::find(order.begin(), order.end(), kind) != order.end(); };
  while (order.size() < graph.size()) {
    const KindNeeds* next = nullptr;
    for (auto const& row : graph) {
      if (done(row.kind) || !std::all_of(row.needs.begin(), row.needs.end(), done)) continue;
      if (next == nullptr || row.kind < next->kind) next = &row;
    }
    if (next == nullptr) throw std::logic_error("the graph of kinds has a circle, or names a kind that has no row");
    order.push_back(next->kind);
  }
  return order;
}

const std::vector<Kind>& write_order() {
  static const auto order = order_of(kind_needs());
  return order;
}

}  // namespace mlferry::engine
