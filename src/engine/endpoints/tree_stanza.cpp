#include "engine/endpoints/tree_stanza.hpp"

#include <bit>

#include "protocol/digest/sha256.hpp"
#include "storage/tree/python_json.hpp"

namespace mlferry::engine {

namespace {

using tree::TextRange;

constexpr std::size_t parse_at_once = 64u << 10;

void hash_number(digest::Sha256& hash, std::uint64_t number) {
  hash.update(std::as_bytes(std::span(&number, 1)));
}

std::string text_field(const json::object& object, const char* key) {
  auto const* value = object.if_contains(key);
  if (value == nullptr) return {};
  if (!value->is_string()) throw mlflow::JsonError(std::string("'mlferry': '") + key + "' is no text");
  return std::string(value->get_string());
}

template <class Take>
void each_object(const json::object& object, const char* key, Take take) {
  auto const* value = object.if_contains(key);
  if (value == nullptr) return;
  auto const fail = [key] {
    throw mlflow::JsonError(std::string("'mlferry': '") + key + "' is no list of objects");
  };
  if (!value->is_array()) fail();
  for (auto const& item : value->get_array()) {
    if (!item.is_object()) fail();
    take(item.get_object());
  }
}

// Points of one key, a few at a time.
class Points {
 public:
  Points(std::string_view text, const std::string& what, mlflow::MetricSeries& series)
      : text_(text), what_(what), series_(series) {}

  void add(TextRange element) {
    if (begin_ == end_) begin_ = element.begin;
    end_ = element.end;
    if (end_ - begin_ >= parse_at_once) flush();
  }

  void flush() {
    if (begin_ == end_) return;
    std::string part = "[";
    part.append(text_.substr(begin_, end_ - begin_)) += ']';
    begin_ = end_ = 0;
    auto const points = mlflow::parse_python_json(part, what_ + ": metric '" + series_.key + "'");
    for (auto const& point : points.get_array()) take(point);
  }

 private:
  void take(const json::value& value) {
    auto const* point = value.if_object();
    auto const number = point == nullptr ? std::nullopt : mlflow::get_double(*point, "value");
    auto const time = point == nullptr ? std::nullopt : mlflow::get_int(*point, "timestamp");
    if (!number || !time) {
      throw mlflow::JsonError(what_ + ": a point of metric '" + series_.key +
                              "' has no number in 'value' or no milliseconds in 'timestamp'");
    }
    series_.points.push_back({*number, *time, mlflow::get_int(*point, "step").value_or(0)});
  }

  std::string_view text_;
  const std::string& what_;
  mlflow::MetricSeries& series_;
  std::size_t begin_ = 0, end_ = 0;
};

void parse_series(std::string_view text, TextRange value, const std::string& what, RunText& run) {
  auto& series = run.history.back();
  Points points(text, what, series);
  if (tree::each_element(text, value, [&points](TextRange element) { points.add(element); })) {
    points.flush();
    return;
  }
  // A number: the last value alone.
  auto const number = mlflow::parse_python_json(text.substr(value.begin, value.end - value.begin), what);
  json::object const named{{"value", number}};
  auto const last = mlflow::get_double(named, "value");
  if (!last)
    throw mlflow::JsonError(what + ": metric '" + series.key + "' is neither a list of points nor a number");
  series.points.push_back({*last, 0, 0});
  run.only_last_values = true;
}

}  // namespace

std::string content_hash(const json::object& mlflow, const std::vector<mlflow::MetricSeries>& history) {
  digest::Sha256 hash;
  hash.update(mlflow::to_canonical_json(mlflow));
  for (auto const& series : history) {
    hash_number(hash, series.key.size());
    hash.update(series.key);
    hash_number(hash, series.points.size());
    for (auto const& point : series.points) {
      // All NaNs are one: their text has no bits.
      hash_number(hash,
                  point.value != point.value ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(point.value));
      hash_number(hash, static_cast<std::uint64_t>(point.timestamp));
      hash_number(hash, static_cast<std::uint64_t>(point.step));
    }
  }
  return digest::to_hex(hash.finish());
}

json::object to_json(const OwnStanza& stanza) {
  json::object out{{"format", tree_format}, {"of", stanza.of}, {"fingerprint", stanza.fingerprint}};
  out["document"] = stanza.document;
  json::array files, gaps;
  for (auto const& file : stanza.files)
    files.push_back(
        json::object{{"path", file.path}, {"size", file.size.value_or(0)}, {"sha256", file.sha256}});
  for (auto const& gap : stanza.gaps)
    gaps.push_back(json::object{{"path", gap.path}, {"reason", gap.reason}});
  if (!files.empty()) out["files"] = std::move(files);
  if (!gaps.empty()) out["gaps"] = std::move(gaps);
  return out;
}

OwnStanza own_stanza_from(const json::object& object) {
  auto const format = mlflow::get_int(object, "format");
  if (!format || *format < 1) throw mlflow::JsonError("'mlferry': no number in 'format'");
  if (*format > tree_format) {
    throw mlflow::JsonError("'mlferry': format " + std::to_string(*format) +
                            " was written by a newer mlferry: use that one");
  }
  OwnStanza stanza;
  stanza.of = text_field(object, "of");
  stanza.fingerprint = text_field(object, "fingerprint");
  if (auto const* document = mlflow::get_object(object, "document")) stanza.document = *document;
  each_object(object, "files", [&stanza](const json::object& file) {
    auto const size = mlflow::get_int(file, "size");
    if (!size || *size < 0) throw mlflow::JsonError("'mlferry': a file without a size");
    stanza.files.push_back(
        {text_field(file, "path"), static_cast<std::uint64_t>(*size), text_field(file, "sha256")});
  });
  each_object(object, "gaps", [&stanza](const json::object& gap) {
    stanza.gaps.push_back({text_field(gap, "path"), text_field(gap, "reason")});
  });
  return stanza;
}

const json::object& content_of(const json::object& file) {
  auto const* mlflow = mlflow::get_object(file, "mlflow");
  return mlflow == nullptr ? file : *mlflow;
}

RunText parse_run_text(std::string_view text, const std::string& what) {
  RunText run;
  TextRange const all{0, text.size()};
  auto const mlflow = tree::find_member(text, all, "mlflow");
  auto const metrics = tree::find_member(text, mlflow.value_or(all), "metrics");
  std::string rest;
  if (metrics) {
    auto const take = [&](std::string_view key, TextRange value) {
      auto const name = mlflow::parse_json(key, what);
      run.history.emplace_back().key = name.get_string();
      parse_series(text, value, what, run);
    };
    auto const span = text.substr(metrics->begin, metrics->end - metrics->begin);
    if (!tree::each_member(text, *metrics, take) && span != "null")
      throw mlflow::JsonError(what + ": 'metrics' is no object");
    rest.append(text.substr(0, metrics->begin)).append("{}").append(text.substr(metrics->end));
    text = rest;
  }
  auto document = mlflow::parse_python_json(text, what);
  if (!document.is_object()) throw mlflow::JsonError(what + ": no JSON object");
  run.file = std::move(document.get_object());
  return run;
}

}  // namespace mlferry::engine
