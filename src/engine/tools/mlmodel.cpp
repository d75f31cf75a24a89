#include "engine/tools/mlmodel.hpp"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <set>

#include "storage/tree/names.hpp"

namespace mlferry::engine {

namespace {

// An alias stands for all that its anchor holds, so that a small text can be a huge document.
constexpr std::size_t most_nodes = 1'000'000;
constexpr int most_levels = 100;

json::value plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  auto const* end = text.data() + text.size();
  auto const* begin = text.data() + (text[0] == '+' ? 1 : 0);
  std::int64_t integer = 0;
  if (auto const [rest, error] = std::from_chars(begin, end, integer); error == std::errc() && rest == end)
    return integer;
  // "inf" and "nan" are words in YAML; numbers of that kind are written .inf and .nan.
  if (text.find_first_not_of("+-.0123456789eE") != text.npos || text.find_first_of("0123456789") == text.npos)
    return json::value(text);
  double number = 0;
  if (auto const [rest, error] = std::from_chars(begin, end, number); error == std::errc() && rest == end)
    return number;
  return json::value(text);
}

class Converter {
 public:
  json::value convert(const YAML::Node& node, int level = 0) {
    if (++nodes_ > most_nodes || level > most_levels)
      throw BadMlmodel("it is nested too deeply or holds too much for an MLmodel file");
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return node.Tag() == "?" ? plain_scalar(node.Scalar()) : json::value(node.Scalar());
      case YAML::NodeType::Sequence: {
        json::array out;
        for (auto const& item : node) out.push_back(convert(item, level + 1));
        return out;
      }
      case YAML::NodeType::Map: {
        json::object out;
        for (auto const& item : node) {
          if (!item.first.IsScalar()) throw BadMlmodel("a key in it is no text");
          out[item.first.Scalar()] = convert(item.second, level + 1);
        }
        return out;
      }
      default:
        return nullptr;
    }
  }

 private:
  std::size_t nodes_ = 0;
};

json::object document_of(std::string_view mlmodel) {
  auto value = yaml_to_json(mlmodel);
  if (!value.is_object()) throw BadMlmodel("it is no YAML mapping");
  return std::move(value.get_object());
}

// Names of members that hold a path below the model's folder, of the flavors that MLflow has.
bool names_a_file(std::string_view key) {
  static const std::set<std::string_view> keys{"data",
                                               "pickled_model",
                                               "model_path",
                                               "code",
                                               "model_data",
                                               "pytorch_model_path",
                                               "saved_model_dir",
                                               "env",
                                               "conda",
                                               "virtualenv",
                                               "sparkml_model_path",
                                               "python_model",
                                               "model_code_path",
                                               "serialized_explainer",
                                               "python_env",
                                               "path"};
  return keys.contains(key);
}

void collect_files(const json::value& value, std::set<std::string>& paths) {
  auto const* object = value.if_object();
  if (object == nullptr) return;
  for (auto const& [key, member] : *object) {
    if (member.is_object()) {
      collect_files(member, paths);
    } else if (member.is_string() && names_a_file(key)) {
      std::string path(member.get_string());
      while (path.starts_with("./")) path.erase(0, 2);
      while (path.ends_with('/')) path.pop_back();
      if (!path.empty() && path != "." && tree::is_plain_path(path)) paths.insert(std::move(path));
    }
  }
}

struct Line {
  std::size_t begin = 0, end = 0;  // `end`: behind its line feed
};

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (std::size_t at = 0; at < text.size();) {
    auto const feed = text.find('\n', at);
    auto const end = feed == text.npos ? text.size() : feed + 1;
    lines.push_back({at, end});
    at = end;
  }
  return lines;
}

// The key of a line that begins a member of the outermost mapping, or "". Text inside of a folded or quoted
// scalar is indented in block style, so that it begins no line.
std::string top_key(std::string_view line) {
  if (line.empty() || line[0] == ' ' || line[0] == '\t' || line[0] == '#' || line[0] == '\n' ||
      line[0] == '\r')
    return {};
  char const quote = line[0] == '\'' || line[0] == '"' ? line[0] : '\0';
  auto const colon = quote == '\0' ? line.find(':') : line.find(':', line.find(quote, 1));
  if (colon == line.npos) return {};
  auto key = line.substr(0, colon);
  if (quote != '\0' && key.size() >= 2) key = key.substr(1, key.size() - 2);
  return std::string(key);
}

std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (char const c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

// As MLflow writes column specifications: json.dumps with a blank behind each comma and colon, ASCII only.
std::string python_json(const json::value& value);

std::string python_string(std::string_view text) {
  std::string out;
  mlflow::append_json_string(out, text);
  std::string ascii;
  for (std::size_t i = 0; i < out.size();) {
    auto const c = static_cast<unsigned char>(out[i]);
    if (c < 0x80) {
      ascii += out[i++];
      continue;
    }
    int const more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    std::uint32_t code = c & (0x3Fu >> more);
    for (int k = 1; k <= more && i + k < out.size(); ++k)
      code = (code << 6) | (static_cast<unsigned char>(out[i + k]) & 0x3F);
    i += static_cast<std::size_t>(more) + 1;
    auto const add = [&ascii](std::uint32_t unit) {
      static constexpr char digits[] = "0123456789abcdef";
      ascii += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) ascii += digits[(unit >> shift) & 0xF];
    };
    if (code >= 0x10000) {
      add(0xD800 + ((code - 0x10000) >> 10));
      add(0xDC00 + ((code - 0x10000) & 0x3FF));
    } else {
      add(code);
    }
  }
  return ascii;
}

std::string python_json(const json::value& value) {
  std::string out;
  if (auto const* list = value.if_array()) {
    for (auto const& item : *list) out += (out.empty() ? "" : ", ") + python_json(item);
    return "[" + out + "]";
  }
  if (auto const* object = value.if_object()) {
    for (auto const& [key, item] : *object)
      out += (out.empty() ? "" : ", ") + python_string(key) + ": " + python_json(item);
    return "{" + out + "}";
  }
  if (value.is_string()) return python_string(value.get_string());
  mlflow::append_json(out, value);
  return out;
}

std::string stanza(const std::optional<json::array>& inputs, const std::optional<json::array>& outputs) {
  auto const text = [](const std::optional<json::array>& columns) {
    return columns ? in_quotes(python_json(*columns)) : std::string("null");
  };
  return "signature:\n  inputs: " + text(inputs) + "\n  outputs: " + text(outputs) + "\n  params: null\n";
}

void emit(YAML::Emitter& out, const json::value& value) {
  if (auto const* object = value.if_object()) {
    if (object->empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (auto const& [key, member] : *object) {
      out << YAML::Key << YAML::DoubleQuoted << std::string(key) << YAML::Value;
      emit(out, member);
    }
    out << YAML::EndMap;
  } else if (auto const* list = value.if_array()) {
    if (list->empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (auto const& item : *list) emit(out, item);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    out << YAML::DoubleQuoted << std::string(value.get_string());
  } else if (value.is_bool()) {
    out << value.get_bool();
  } else if (value.is_int64()) {
    out << value.get_int64();
  } else if (value.is_uint64()) {
    out << value.get_uint64();
  } else if (value.is_double()) {
    out << value.get_double();
  } else {
    out << YAML::Null;
  }
}

}  // namespace

json::value yaml_to_json(std::string_view yaml) {
  if (yaml.size() > most_mlmodel_bytes) throw BadMlmodel("it is larger than an MLmodel file can be");
  try {
    return Converter().convert(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& error) {
    std::string text = "it is no YAML: " + error.msg;
    if (!error.mark.is_null()) text += " (line " + std::to_string(error.mark.line + 1) + ")";
    throw BadMlmodel(text);
  }
}

std::string json_to_yaml(const json::value& value) {
  YAML::Emitter out;
  out.SetDoublePrecision(17);
  emit(out, value);
  return std::string(out.c_str()) + "\n";
}

std::optional<json::object> signature_of(std::string_view mlmodel) {
  auto const document = document_of(mlmodel);
  auto const* signature = mlflow::get_object(document, "signature");
  if (signature == nullptr || signature->empty()) return std::nullopt;
  json::object out;
  for (auto const& [key, member] : *signature) {
    if (!member.is_string()) {
      out[key] = member;
      continue;
    }
    try {
      out[key] = mlflow::parse_python_json(member.get_string(), "signature");
    } catch (const mlflow::JsonError&) {
      throw BadMlmodel("'" + std::string(key) + "' of its signature is no JSON");
    }
  }
  return out;
}

std::vector<std::string> files_named_in(std::string_view mlmodel) {
  auto const document = document_of(mlmodel);
  std::set<std::string> paths;
  if (auto const* flavors = mlflow::get_object(document, "flavors")) {
    for (auto const& [name, flavor] : *flavors) collect_files(flavor, paths);
  }
  return {paths.begin(), paths.end()};
}

std::string with_signature(std::string_view mlmodel, const std::optional<json::array>& inputs,
                           const std::optional<json::array>& outputs) {
  auto wanted = document_of(mlmodel);
  auto const lines = lines_of(mlmodel);
  // Where the old stanza stands, or the new one belongs: MLflow sorts its keys.
  std::size_t begin = mlmodel.size(), end = mlmodel.size();
  bool found = false;
  for (auto const& line : lines) {
    auto const key = top_key(mlmodel.substr(line.begin, line.end - line.begin));
    if (key.empty()) continue;
    if (found) {
      end = line.begin;
      break;
    }
    if (key == "signature") {
      begin = line.begin;
      found = true;
    }
  }
  if (found) {
    // Comments in front of the next member belong to that.
    auto const body = mlmodel.substr(begin, end - begin);
    auto const inside = lines_of(body);
    for (auto line = inside.rbegin(); line != inside.rend() && line->begin > 0; ++line) {
      if (body[line->begin] != '#' && body[line->begin] != '\n') break;
      end = begin + line->begin;
    }
  } else {
    for (auto const& line : lines) {
      auto const key = top_key(mlmodel.substr(line.begin, line.end - line.begin));
      if (key > "signature") {
        begin = end = line.begin;
        break;
      }
    }
  }
  std::string text(mlmodel.substr(0, begin));
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  text += stanza(inputs, outputs);
  text += mlmodel.substr(end);

  // Read again, it must say the same but for the signature.
  auto const in_file = [](const std::optional<json::array>& columns) {
    return columns ? json::value(python_json(*columns)) : json::value(nullptr);
  };
  wanted["signature"] =
      json::object{{"inputs", in_file(inputs)}, {"outputs", in_file(outputs)}, {"params", nullptr}};
  bool same = false;
  try {
    same = document_of(text) == wanted;
  } catch (const BadMlmodel&) {
  }
  if (!same)
    throw BadMlmodel("it is not written in block style with a line for each member, as MLflow writes it");
  return text;
}

}  // namespace mlferry::engine
