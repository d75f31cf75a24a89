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

class Admission {
 public:
  virtual ~Admission() = default;
  // Waits until a request of this class may be sent; the permit is held until its answer has been read.
  virtual async::Task<async::Permit> enter(RequestClass request_class) = 0;
  virtual void observe(const Observation& observation) = 0;
  // No request of the class is admitted before this much time has passed (a Retry-After, clamped).
  virtual void hold_back(RequestClass request_class, std::chrono::nanoseconds duration) = 0;
};

}  // namespace mlferry::http
