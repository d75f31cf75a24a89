#pragma once
// What an answer of the server means: a document, an object that is not there, or an ApiError. Pure
// functions, and the only place where a status becomes an exception.

#include <optional>
#include <string>
#include <string_view>

#include "protocol/mlflow/client.hpp"

namespace mlferry::mlflow {

// "POST runs/create" for POST /api/2.0/mlflow/runs/create?x=y: the call as errors name it, without the query,
// which holds names and values.
std::string call_name(http::Method method, std::string_view target);

// The error of an answer outside 2xx.
ApiError api_error(std::string_view call, int status, std::string_view body);

// The object of a 2xx answer. Throws ApiError for every other status, and for a body that is not a JSON
// object (a log-in page, say).
json::object answer_object(std::string_view call, int status, std::string_view body,
                           json::storage_ptr storage = {});

// The same, but nothing when the server says in JSON that the object does not exist.
std::optional<json::object> answer_or_missing(std::string_view call, int status, std::string_view body);

// An answer that lacks a field it must have: ApiError with the status 200.
ApiError incomplete_answer(std::string_view call, std::string_view field);

// Whether a failure says that the server had more requests at once than its database takes: an exhausted connection
// pool comes as 400, a locked SQLite file as 400 or 500 (SQLAlchemy's words in MLflow's messages).
bool says_overloaded(int status, std::string_view body);

// The error of the first call to a server, which says what a user has to change when no MLflow answers there.
ApiError not_mlflow(const ApiError& error);

// The documents of `field` and the token. Throws when an element is not an object, and when the server gives
// the token that it was asked for: following it would never end.
template <class T>
Page<T> answer_page(std::string_view call, json::object answer, std::string_view field,
                    std::string_view asked) {
  Page<T> page;
  page.next_token = get_string(answer, "next_page_token");
  if (!page.next_token.empty() && page.next_token == asked)
    throw incomplete_answer(call, "another next_page_token");
  json::value* found = answer.if_contains(field);
  if (found == nullptr || found->is_null()) return page;
  if (!found->is_array()) throw incomplete_answer(call, field);
  page.items.reserve(found->get_array().size());
  for (json::value& element : found->get_array()) {
    if (!element.is_object()) throw incomplete_answer(call, field);
    page.items.push_back(T{std::move(element.get_object())});
  }
  return page;
}

// The object in `field` of the answer; throws when it is not there.
json::object take_object(std::string_view call, json::object answer, std::string_view field);

}  // namespace mlferry::mlflow
