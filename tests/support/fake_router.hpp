#pragma once
// From a request to its handler and back: paths, verbs, missing features, JSON bodies.

#include <string_view>

#include "support/fake_calls.hpp"

namespace mlferry::test::fake {

class Router {
 public:
  // All must outlive it.
  Router(State& state, const Faults& faults) : state_(state), faults_(faults) {}

  HttpResponse carry_out(const HttpRequest& request, bool repeat_row);

 private:
  HttpResponse route(const HttpRequest& request, Call& call);
  HttpResponse route_mlflow(const HttpRequest& request, Call& call, std::string_view rest, bool ajax);
  HttpResponse route_version_3(const HttpRequest& request, Call& call, std::string_view rest);
  bool lacks(std::string_view path) const;

  State& state_;
  const Faults& faults_;
};

// Would it change the server?
bool changes_state(std::string_view method, std::string_view path);

}  // namespace mlferry::test::fake
