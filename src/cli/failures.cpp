#include "cli/failures.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <system_error>

#include "cli/server_options.hpp"
#include "engine/endpoints/lookup.hpp"
#include "engine/failure.hpp"
#include "engine/ledger.hpp"
#include "protocol/http/error.hpp"
#include "protocol/mlflow/client.hpp"
#include "storage/archive/archive.hpp"
#include "storage/backend/backend.hpp"
#include "storage/tree/tree_reader.hpp"

namespace mlferry::cli {

namespace {

ExitCode code_of(const http::TransportError& error) {
  switch (error.fault()) {
    case http::Fault::timeout:
    case http::Fault::closed:
    case http::Fault::short_body:
      return ExitCode::temporary;
    case http::Fault::malformed:
    case http::Fault::too_large:
    case http::Fault::changed:
      return ExitCode::other;
    default:
      return ExitCode::unreachable;
  }
}

ExitCode code_of(const mlflow::ApiError& error) {
  if (error.authentication()) return ExitCode::authentication;
  if (error.temporary()) return ExitCode::temporary;
  if (error.not_found()) return ExitCode::unreachable;
  return ExitCode::other;
}

}  // namespace

Ending ending_of(const std::exception_ptr& failure) {
  auto const text = engine::describe_failure(failure);
  try {
    std::rethrow_exception(failure);
  } catch (const UsageError&) {
    return {ExitCode::usage, text};
  } catch (const engine::Ambiguous&) {
    return {ExitCode::usage, text};
  } catch (const engine::NotFound&) {
    return {ExitCode::unreachable, text};
  } catch (const engine::JobEnded&) {
    return {ExitCode::some_failed, text};
  } catch (const http::TransportError& error) {
    return {code_of(error), text};
  } catch (const mlflow::ApiError& error) {
    return {code_of(error), text};
  } catch (const archive::NotFound&) {
    return {ExitCode::unreachable, text};
  } catch (const tree::TreeError&) {
    return {ExitCode::unreachable, text};
  } catch (const backend::Locked&) {
    return {ExitCode::locked, text};
  } catch (const engine::LedgerLocked&) {
    return {ExitCode::locked, text};
  } catch (const boost::system::system_error& error) {
    if (error.code() == boost::asio::error::operation_aborted) {
      // Ctrl-C is the caller's to know; without it nobody should have cancelled the job.
      return {ExitCode::other, "a wait was cancelled without reason, which is a defect of mlferry: please report it; "
                               "the same command again goes on"};
    }
    return {ExitCode::other, text};
  } catch (...) {
    return {ExitCode::other, text};
  }
}

}  // namespace mlferry::cli
