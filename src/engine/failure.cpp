#include "engine/failure.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <system_error>

#include "protocol/http/error.hpp"
#include "protocol/mlflow/client.hpp"
#include "storage/archive/archive.hpp"
#include "storage/sqlite/database.hpp"

namespace mlferry::engine {

namespace {

constexpr std::size_t most_bytes = 600;

std::string one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  if (text.size() > most_bytes) {
    auto end = most_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // no half character
    text = text.substr(0, end) + "…";
  }
  return text;
}

bool disk_trouble(const std::error_code& code) {
  return code == std::errc::no_space_on_device || code == std::errc::read_only_file_system ||
         code == std::errc::io_error || code == std::errc::too_many_files_open;
}

}  // namespace

bool ends_the_job(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const JobEnded&) {
    return true;
  } catch (const boost::system::system_error& error) {
    return error.code() == boost::asio::error::operation_aborted;
  } catch (const mlflow::ApiError& error) {
    return error.status() == 401;
  } catch (const http::TransportError& error) {
    switch (error.fault()) {
      case http::Fault::bad_url:
      case http::Fault::resolve:
      case http::Fault::connect:
      case http::Fault::proxy:
      case http::Fault::tls:
        return true;
      default:
        return false;
    }
  } catch (const std::system_error& error) {
    return disk_trouble(error.code());
  } catch (const sqlite::Error&) {
    return true;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (...) {
    return false;
  }
}

bool is_not_held(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const NotHeld&) {
    return true;
  } catch (...) {
    return false;
  }
}

std::string describe_failure(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const mlflow::ApiError& error) {
    std::string text = error.what();
    if (!error.server_message().empty()) text += " (server: " + error.server_message() + ")";
    return one_line(text);
  } catch (const std::exception& error) {
    return one_line(error.what());
  } catch (...) {
    return "unknown failure";
  }
}

async::Task<std::optional<std::string>> attempt(async::Task<> task) {
  std::exception_ptr failure;
  try {
    co_await std::move(task);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!failure) co_return std::nullopt;
  if (ends_the_job(failure)) std::rethrow_exception(failure);
  co_return describe_failure(failure);
}

}  // namespace mlferry::engine
