#pragma once
// What the ledger keeps of an object that was in the destination before, and that copies were added to: it is the
// destination's own, whatever we set on it. Pure.

#include <optional>
#include <string>
#include <string_view>

#include "protocol/mlflow/objects.hpp"

namespace mlferry::engine {

struct Adoption {
  mlflow::KeyValues tags;  // that we set; ours to change later

  // Of a ledger entry's data; nothing when the object is a copy.
  static std::optional<Adoption> parse(std::string_view data);
  std::string data() const;

  // Whether the tag's value there is one that we set.
  bool set(std::string_view key, std::string_view value) const;
  void put(std::string key, std::string value);
};

}  // namespace mlferry::engine
