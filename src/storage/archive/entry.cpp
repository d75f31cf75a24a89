#include "storage/archive/entry.hpp"

#include "protocol/mlflow/json.hpp"

namespace mlferry::archive {

namespace {

// A line is written by hand: it is the hot path of small records, and its members are few.
class Line {
 public:
  Line(std::string& out, const char* type) : out_(out) {
    out_ += "{\"";
    out_ += type;
    out_ += "\":{";
  }
  Line& text(const char* key, std::string_view value) {
    name(key);
    mlflow::append_json_string(out_, value);
    return *this;
  }
  Line& number(const char* key, std::int64_t value) {
    name(key);
    out_ += std::to_string(value);
    return *this;
  }
  Line& digests(const char* key, const std::vector<Digest>& values) {
    name(key);
    char separator = '[';
    for (auto const& value : values) {
      out_ += separator;
      out_ += '"';
      out_ += hex(value);
      out_ += '"';
      separator = ',';
    }
    out_ += ']';
    return *this;
  }
  void end() { out_ += "}}\n"; }

 private:
  void name(const char* key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
  }
  std::string& out_;
  bool first_ = true;
};

std::int64_t as_number(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

std::uint64_t entry_size(const json::object& object, std::string_view key, const std::string& where) {
  auto const* const value = object.if_contains(key);
  if (value == nullptr || !value->is_int64() || value->as_int64() < 0) {
    throw Corrupt(where + ": '" + std::string(key) + "' of an entry is missing or no size");
  }
  return static_cast<std::uint64_t>(value->as_int64());
}

Digest get_digest(std::string_view text, const std::string& where) {
  if (auto const digest = parse_digest(text)) return *digest;
  throw Corrupt(where + ": an entry has a wrong SHA-256");
}

std::string get_text(const json::object& object, std::string_view key) {
  return std::string(mlflow::get_string(object, key));
}

ObjectEntry decode_object(const json::object& object, const std::string& where) {
  ObjectEntry entry;
  entry.row.kind = get_text(object, "kind");
  entry.row.id = get_text(object, "id");
  entry.row.parent = get_text(object, "parent");
  entry.row.name = get_text(object, "name");
  entry.row.lifecycle = get_text(object, "lifecycle");
  entry.row.status = get_text(object, "status");
  entry.row.fingerprint = get_text(object, "fingerprint");
  if (auto const* const time = object.if_contains("time")) {
    if (!time->is_int64()) throw Corrupt(where + ": 'time' of an entry is no integer");
    entry.row.time = time->as_int64();
  }
  if (entry.row.kind.empty()) throw Corrupt(where + ": an entry without 'kind'");
  entry.length = entry_size(object, "length", where);
  if (entry.length > kLargestRecord) throw Corrupt(where + ": a record is larger than allowed");
  if (object.contains("frame")) {
    entry.kept =
        KeptRecord{get_digest(mlflow::get_string(object, "frame"), where), entry_size(object, "offset", where)};
  }
  return entry;
}

FileEntry decode_file(const json::object& object, const std::string& where) {
  FileEntry entry;
  entry.kind = get_text(object, "kind");
  entry.id = get_text(object, "id");
  entry.path = get_text(object, "path");
  if (auto const problem = path_problem(entry.path); !problem.empty()) {
    throw Corrupt(where + ": the path of a file " + problem);
  }
  entry.size = entry_size(object, "size", where);
  entry.sha256 = get_digest(mlflow::get_string(object, "sha256"), where);
  if (auto const* const chunks = mlflow::get_array(object, "chunks")) {
    for (auto const& chunk : *chunks) {
      auto const* const text = chunk.if_string();
      entry.chunks.push_back(
          get_digest(text != nullptr ? std::string_view(*text) : std::string_view(), where));
    }
  }
  return entry;
}

}  // namespace

void append_entry(std::string& out, const ObjectEntry& entry) {
  auto const& row = entry.row;
  Line line(out, "object");
  line.text("kind", row.kind).text("id", row.id).text("parent", row.parent).text("name", row.name);
  line.text("lifecycle", row.lifecycle).text("status", row.status);
  if (row.time) line.number("time", *row.time);
  line.text("fingerprint", row.fingerprint).number("length", as_number(entry.length));
  if (entry.kept) line.text("frame", hex(entry.kept->frame)).number("offset", as_number(entry.kept->offset));
  line.end();
}

void append_entry(std::string& out, const FileEntry& entry) {
  Line line(out, "file");
  line.text("kind", entry.kind)
      .text("id", entry.id)
      .text("path", entry.path)
      .number("size", as_number(entry.size));
  line.text("sha256", hex(entry.sha256));
  if (!entry.chunks.empty()) line.digests("chunks", entry.chunks);
  line.end();
}

void append_entry(std::string& out, const GapRow& entry) {
  Line line(out, "gap");
  line.text("kind", entry.kind)
      .text("id", entry.id)
      .text("path", entry.path)
      .text("reason", entry.reason)
      .end();
}

void decode_entries(std::string_view frame, const std::string& where,
                    const std::function<void(Entry)>& take) {
  std::size_t at = 0;
  while (at < frame.size()) {
    auto const end = frame.find('\n', at);
    if (end == std::string_view::npos) throw Corrupt(where + ": an entry does not end");
    json::value document;
    try {
      document = mlflow::parse_json(frame.substr(at, end - at), where);
    } catch (const mlflow::JsonError& error) {
      throw Corrupt(error.what());
    }
    at = end + 1;
    auto const* const line = document.if_object();
    if (line == nullptr) throw Corrupt(where + ": an entry is no object");
    if (auto const* const object = mlflow::get_object(*line, "object")) {
      auto entry = decode_object(*object, where);
      if (!entry.kept) {
        if (entry.length >= frame.size() - at || frame[at + entry.length] != '\n') {
          throw Corrupt(where + ": a record does not end where its entry says");
        }
        entry.record_offset = at;
        at += entry.length + 1;
      }
      take(std::move(entry));
    } else if (auto const* const file = mlflow::get_object(*line, "file")) {
      take(decode_file(*file, where));
    } else if (auto const* const gap = mlflow::get_object(*line, "gap")) {
      take(GapRow{get_text(*gap, "kind"), get_text(*gap, "id"), get_text(*gap, "path"),
                  get_text(*gap, "reason")});
    }  // else: an entry of a later program, which FORMAT.md section 10 lets us pass over
  }
}

}  // namespace mlferry::archive
