#pragma once
// Who may send a request now. The engine's adaptive limiter implements it; the HTTP client only asks.

#include <chrono>

#include "async/semaphore.hpp"
#include "protocol/http/message.hpp"

namespace mlferry::http {

// How one attempt ended, for a limiter that learns.
struct Observation {
  RequestClass request_class = RequestClass::read;
  int status = 0;  // 0: no answer
  bool throttled = false;  // 429, 503 or time-out
  std::chrono::nanoseconds latency{0};  // from sending to the answer's header
};

// What to do with the connections of a request class.
enum class Connections {
  keep,
  renew,  // those made so far end with their present exchange, and new ones are made
};

class Admission {
 public:
  virtual ~Admission() = default;
  // Waits until a request of this class may be sent; the permit is held until its answer has been read. Creates
  // (Repeat::unclear) let the others go first: what was begun is ended before more is begun.
  virtual async::Task<async::Permit> enter(RequestClass request_class, Repeat repeat) = 0;
  virtual Connections observe(const Observation& observation) = 0;
  // No request of the class is admitted before this much time has passed (a Retry-After, clamped).
  virtual void hold_back(RequestClass request_class, std::chrono::nanoseconds duration) = 0;
};

}  // namespace mlferry::http
