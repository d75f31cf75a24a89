#include "cli/failures.hpp"

#include <doctest/doctest.h>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <system_error>

#include "cli/server_options.hpp"
#include "engine/failure.hpp"
#include "engine/ledger.hpp"
#include "protocol/http/error.hpp"
#include "protocol/mlflow/client.hpp"
#include "storage/archive/archive.hpp"
#include "storage/backend/backend.hpp"

using namespace mlferry;
using mlferry::cli::ending_of;
using mlferry::cli::ExitCode;

namespace {

template <class E>
std::exception_ptr failure(E error) {
  return std::make_exception_ptr(std::move(error));
}
std::exception_ptr api(int status) {
  return failure(mlflow::ApiError("call: refused", status, "", "server's words"));
}
std::exception_ptr transport(http::Fault fault) {
  return failure(http::TransportError(fault, false, "broken"));
}

}  // namespace

TEST_SUITE("cli") {
  TEST_CASE("failures: exit codes") {
    struct Row {
      const char* what;
      std::exception_ptr failure;
      ExitCode code;
    };
    for (auto const& row : std::initializer_list<Row>{
             {"usage", failure(cli::UsageError("x")), ExitCode::usage},
             {"fail fast", failure(engine::JobEnded("x")), ExitCode::some_failed},
             {"bad url", transport(http::Fault::bad_url), ExitCode::unreachable},
             {"no such host", transport(http::Fault::resolve), ExitCode::unreachable},
             {"nobody listens", transport(http::Fault::connect), ExitCode::unreachable},
             {"proxy", transport(http::Fault::proxy), ExitCode::unreachable},
             {"tls", transport(http::Fault::tls), ExitCode::unreachable},
             {"timeout", transport(http::Fault::timeout), ExitCode::temporary},
             {"closed", transport(http::Fault::closed), ExitCode::temporary},
             {"short", transport(http::Fault::short_body), ExitCode::temporary},
             {"malformed", transport(http::Fault::malformed), ExitCode::other},
             {"too large", failure(http::ResponseTooLarge("x")), ExitCode::other},
             {"changed", transport(http::Fault::changed), ExitCode::other},
             {"401", api(401), ExitCode::authentication},
             {"403", api(403), ExitCode::authentication},
             {"404", api(404), ExitCode::unreachable},
             {"429", api(429), ExitCode::temporary},
             {"502", api(502), ExitCode::temporary},
             {"503", api(503), ExitCode::temporary},
             {"504", api(504), ExitCode::temporary},
             {"400", api(400), ExitCode::other},
             {"500", api(500), ExitCode::other},
             {"no archive", failure(archive::NotFound("x")), ExitCode::unreachable},
             {"corrupt archive", failure(archive::Corrupt("x")), ExitCode::other},
             {"archive locked", failure(backend::Locked("x")), ExitCode::locked},
             {"job locked", failure(engine::LedgerLocked("x")), ExitCode::locked},
             {"cancelled by nobody", failure(boost::system::system_error(boost::asio::error::operation_aborted)),
              ExitCode::other},
             {"another asio error", failure(boost::system::system_error(boost::asio::error::eof)),
              ExitCode::other},
             {"disk full", failure(std::system_error(std::make_error_code(std::errc::no_space_on_device))),
              ExitCode::other},
             {"no memory", failure(std::bad_alloc()), ExitCode::other},
             {"anything else", failure(std::runtime_error("x")), ExitCode::other},
             {"not even an exception", std::make_exception_ptr(1), ExitCode::other},
         }) {
      CAPTURE(std::string(row.what));
      auto const ending = ending_of(row.failure);
      CHECK(ending.code == row.code);
      CHECK_FALSE(ending.message.empty());
      CHECK(ending.message.find('\n') == std::string::npos);
    }
  }

  TEST_CASE("failures: the codes are frozen") {
    struct Row {
      ExitCode code;
      int number;
    };
    for (auto const& row :
         {Row{ExitCode::ok, 0}, Row{ExitCode::other, 1}, Row{ExitCode::usage, 2},
          Row{ExitCode::some_failed, 3}, Row{ExitCode::unreachable, 4}, Row{ExitCode::temporary, 5},
          Row{ExitCode::locked, 11}, Row{ExitCode::authentication, 12}, Row{ExitCode::mismatch, 20},
          Row{ExitCode::interrupted, 130}}) {
      CHECK(static_cast<int>(row.code) == row.number);
    }
  }

  TEST_CASE("failures: the message tells what the server said") {
    CHECK(ending_of(api(400)).message == "call: refused (server: server's words)");
  }
}
