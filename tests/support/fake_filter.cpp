#include "support/fake_filter.hpp"

#include <algorithm>
#include <cctype>

#include "support/fake_state.hpp"

namespace mlferry::test::fake {
namespace {

[[noreturn]] void refuse(std::string_view text) {
  throw Failure{400, "INVALID_PARAMETER_VALUE", "Invalid clause(s) in filter string: " + std::string(text)};
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : all_(text), rest_(text) {}

  void skip_space() {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front())) != 0)
      rest_.remove_prefix(1);
  }
  bool at_end() {
    skip_space();
    return rest_.empty();
  }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take_word(std::string_view word) {
    if (rest_.size() < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (std::toupper(static_cast<unsigned char>(rest_[i])) != word[i]) return false;
    }
    rest_.remove_prefix(word.size());
    return true;
  }
  // 'x', "x" or `x`: no escapes, as on the server.
  std::string in_quotes(std::string_view quotes) {
    if (rest_.empty() || quotes.find(rest_.front()) == quotes.npos) refuse(all_);
    char const quote = rest_.front();
    auto const end = rest_.find(quote, 1);
    if (end == rest_.npos) refuse(all_);
    std::string result(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return result;
  }
  std::string name(bool dots) {
    std::size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) != 0 || rest_[n] == '_' ||
                                (dots && (rest_[n] == '.' || rest_[n] == '-')))) {
      ++n;
    }
    if (n == 0) refuse(all_);
    std::string result(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return result;
  }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  std::string_view all() const { return all_; }

 private:
  std::string_view all_;
  std::string_view rest_;
};

// SQL's LIKE, '%' and '_'.
bool like(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '%') {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (like(text.substr(i), pattern.substr(1))) return true;
    }
    return false;
  }
  if (text.empty() || (pattern.front() != '_' && pattern.front() != text.front())) return false;
  return like(text.substr(1), pattern.substr(1));
}

std::string canonical_entity(std::string_view entity) {
  if (entity == "tag") return "tags";
  if (entity == "param" || entity == "parameter" || entity == "params") return "params";
  if (entity == "attr" || entity == "attribute") return "attributes";
  return std::string(entity);
}

}  // namespace

std::vector<Clause> parse_filter(std::string_view text) {
  std::vector<Clause> clauses;
  Scanner scanner(text);
  if (scanner.at_end()) return clauses;
  while (true) {
    Clause clause;
    scanner.skip_space();
    std::string first = scanner.name(false);
    if (scanner.take('.')) {
      clause.entity = canonical_entity(first);
      bool const is_quoted = scanner.peek() == '"' || scanner.peek() == '`';
      clause.key = is_quoted ? scanner.in_quotes("\"`") : scanner.name(true);
    } else {
      clause.entity = "attributes";
      clause.key = std::move(first);
    }
    scanner.skip_space();
    if (scanner.take('=')) {
      clause.op = "=";
    } else if (scanner.take('!')) {
      if (!scanner.take('=')) refuse(text);
      clause.op = "!=";
    } else if (scanner.take_word("LIKE")) {
      clause.op = "LIKE";
    } else {
      refuse(text);
    }
    scanner.skip_space();
    clause.value = scanner.in_quotes("'\"");
    clauses.push_back(std::move(clause));
    if (scanner.at_end()) return clauses;
    if (!scanner.take_word("AND")) refuse(text);
  }
}

bool matches(const std::vector<Clause>& clauses, const LookUp& look_up) {
  return std::all_of(clauses.begin(), clauses.end(), [&](const Clause& clause) {
    auto const value = look_up(clause.entity, clause.key);
    if (!value) return false;
    if (clause.op == "=") return *value == clause.value;
    if (clause.op == "!=") return *value != clause.value;
    return like(*value, clause.value);
  });
}

}  // namespace mlferry::test::fake
