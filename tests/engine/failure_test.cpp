#include "engine/failure.hpp"

#include <doctest/doctest.h>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include <system_error>

#include "protocol/http/error.hpp"
#include "protocol/mlflow/client.hpp"
#include "storage/archive/archive.hpp"
#include "storage/sqlite/database.hpp"
#include "support/run.hpp"

using namespace mlferry;
using mlferry::engine::attempt;
using mlferry::engine::describe_failure;
using mlferry::engine::ends_the_job;
using mlferry::engine::JobEnded;

namespace {

template <class E>
std::exception_ptr failure(E error) {
  return std::make_exception_ptr(std::move(error));
}

std::exception_ptr api(int status) {
  return failure(mlflow::ApiError("call: refused", status, "CODE", "server's words"));
}

std::exception_ptr transport(http::Fault fault) {
  return failure(http::TransportError(fault, false, "broken"));
}

async::Task<> throw_it(std::exception_ptr what) {
  if (what) std::rethrow_exception(what);
  co_return;
}

}  // namespace

TEST_SUITE("engine") {
  TEST_CASE("failures: which end the job, and which only their object") {
    struct Row {
      const char* what;
      std::exception_ptr failure;
      bool ends;
    };
    auto const system = [](std::errc code) { return failure(std::system_error(std::make_error_code(code))); };
    for (auto const& row : std::initializer_list<Row>{
             {"stopped", failure(JobEnded("x")), true},
             {"cancelled", failure(boost::system::system_error(boost::asio::error::operation_aborted)), true},
             {"another asio error", failure(boost::system::system_error(boost::asio::error::eof)), false},
             {"401", api(401), true},
             {"403 of one object", api(403), false},
             {"400", api(400), false},
             {"404", api(404), false},
             {"429", api(429), false},
             {"500", api(500), false},
             {"503", api(503), false},
             {"no such host", transport(http::Fault::resolve), true},
             {"nobody listens", transport(http::Fault::connect), true},
             {"proxy", transport(http::Fault::proxy), true},
             {"tls", transport(http::Fault::tls), true},
             {"bad url", transport(http::Fault::bad_url), true},
             {"timeout", transport(http::Fault::timeout), false},
             {"closed", transport(http::Fault::closed), false},
             {"short", transport(http::Fault::short_body), false},
             {"malformed", transport(http::Fault::malformed), false},
             {"changed", transport(http::Fault::changed), false},
             {"too large", failure(http::ResponseTooLarge("x")), false},
             {"disk full", system(std::errc::no_space_on_device), true},
             {"read-only disk", system(std::errc::read_only_file_system), true},
             {"disk broken", system(std::errc::io_error), true},
             {"out of descriptors", system(std::errc::too_many_files_open), true},
             {"one file unreadable", system(std::errc::permission_denied), false},
             {"one file gone", system(std::errc::no_such_file_or_directory), false},
             {"no memory", failure(std::bad_alloc()), true},
             {"corrupt object", failure(archive::Corrupt("x")), false},
             {"anything else", failure(std::runtime_error("x")), false},
             {"not even an exception", std::make_exception_ptr(42), false},
         }) {
      CAPTURE(std::string(row.what));
      CHECK(ends_the_job(row.failure) == row.ends);
    }
  }

  TEST_CASE("failures: described in one line, the server's words last") {
    CHECK(describe_failure(api(400)) == "call: refused (server: server's words)");
    CHECK(describe_failure(failure(std::runtime_error("a\nb\x01"))) == "a b ");
    CHECK(describe_failure(std::make_exception_ptr(42)) == "unknown failure");
    CHECK(describe_failure(failure(std::runtime_error(std::string(10'000, 'x')))).size() < 700);
    // A cut in the middle of a character would make the report no UTF-8.
    for (std::size_t lead = 0; lead < 4; ++lead) {
      std::string text(lead, 'x');
      while (text.size() < 1000) text += "\xf0\x9f\x9a\xa2";
      auto const line = describe_failure(failure(std::runtime_error(text)));
      CHECK_NOTHROW(mlflow::parse_json(mlflow::to_json(mlflow::json::value(line)), "line"));
    }
  }

  TEST_CASE("failures: attempt gives the text, and lets through what ends the job") {
    boost::asio::io_context context;
    CHECK(test::run(context, attempt(throw_it(nullptr))) == std::nullopt);
    CHECK(test::run(context, attempt(throw_it(failure(std::runtime_error("text"))))) == "text");
    CHECK_THROWS_AS(test::run(context, attempt(throw_it(api(401)))), mlflow::ApiError);
    CHECK_THROWS_AS(test::run(context, attempt(throw_it(failure(JobEnded("x"))))), JobEnded);
  }
}
