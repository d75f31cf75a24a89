#pragma once
// What can go wrong below HTTP's own status codes.

#include <stdexcept>
#include <string>

namespace mlferry::http {

enum class Fault {
  bad_url,        // the URL cannot be used; permanent
  resolve,        // the host name has no address
  connect,        // nobody listens, or no route
  proxy,          // the proxy refused
  tls,            // handshake or certificate verification failed; permanent
  timeout,        // nothing moved for the idle limit
  closed,         // the connection ended in the middle
  malformed,      // not HTTP, or beyond a bound on headers; permanent
  too_large,      // a body beyond the bound; permanent
  short_body,     // fewer bytes than announced
  changed,        // a file changed while it was read in parts; permanent
};

// Thrown after the retries. The text names the URL without credentials, what happened and, where there is
// one, the remedy ("--ca-file"). `outcome_unknown`: the request may have been carried out.
class TransportError : public std::runtime_error {
 public:
  TransportError(Fault fault, bool outcome_unknown, const std::string& text)
      : std::runtime_error(text), fault_(fault), outcome_unknown_(outcome_unknown) {}
  Fault fault() const { return fault_; }
  bool outcome_unknown() const { return outcome_unknown_; }

 private:
  Fault fault_;
  bool outcome_unknown_;
};

class ResponseTooLarge : public TransportError {
 public:
  explicit ResponseTooLarge(const std::string& text) : TransportError(Fault::too_large, false, text) {}
};

}  // namespace mlferry::http
