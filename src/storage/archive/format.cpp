#include "storage/archive/format.hpp"

#include <chrono>
#include <cstdio>
#include <cstring>

#include "storage/archive/archive.hpp"

namespace mlferry::archive {

std::string_view magic_of(PackKind kind) {
  return kind == PackKind::data ? "MLFDATA1" : "MLFMETA1";
}

std::string pack_name(PackKind kind, std::string_view hex) {
  return std::string(kind == PackKind::data ? kDataFolder : kMetaFolder) + "/" + std::string(hex) + ".pack";
}

namespace {

bool has_shape(std::string_view name, std::string_view folder, std::string_view suffix) {
  return name.size() == folder.size() + 1 + 64 + suffix.size() && name.starts_with(folder) &&
         name[folder.size()] == '/' && name.ends_with(suffix) &&
         is_hex(name.substr(folder.size() + 1, 64), 64);
}

}  // namespace

std::optional<PackKind> kind_of_pack(std::string_view name) {
  if (has_shape(name, kDataFolder, ".pack")) return PackKind::data;
  if (has_shape(name, kMetaFolder, ".pack")) return PackKind::meta;
  return std::nullopt;
}

std::string catalog_name(std::string_view hex) {
  return std::string(kCatalogFolder) + "/" + std::string(hex) + ".sqlite";
}
bool is_catalog_name(std::string_view name) {
  return has_shape(name, kCatalogFolder, ".sqlite");
}

std::string hex_of_name(std::string_view name) {
  auto const slash = name.rfind('/');
  return std::string(name.substr(slash == std::string_view::npos ? 0 : slash + 1, 64));
}

bool is_hex(std::string_view text, std::size_t digits) {
  if (text.size() != digits) return false;
  for (char const c : text) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  }
  return true;
}

std::optional<Digest> parse_digest(std::string_view text) {
  if (!is_hex(text, 64)) return std::nullopt;
  auto const value = [](char c) { return static_cast<unsigned char>(c <= '9' ? c - '0' : c - 'a' + 10); };
  Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) {
    digest[i] = static_cast<unsigned char>(value(text[2 * i]) << 4 | value(text[2 * i + 1]));
  }
  return digest;
}

std::string hex(const Digest& digest) {
  return digest::to_hex(digest);
}

std::optional<Digest> digest_of_bytes(std::string_view bytes) {
  Digest digest{};
  if (bytes.size() != digest.size()) return std::nullopt;
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

std::string path_problem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kLongestPath) return "is longer than " + std::to_string(kLongestPath) + " bytes";
  if (path.find('\0') != std::string_view::npos) return "has a NUL";
  if (path.front() == '/') return "is absolute";
  std::size_t start = 0;
  while (true) {
    auto const end = std::min(path.find('/', start), path.size());
    auto const part = path.substr(start, end - start);
    if (part.empty()) return "has an empty part";
    if (part == "." || part == "..") return "has a part '" + std::string(part) + "'";
    if (end == path.size()) return {};
    start = end + 1;
  }
}

void put_u32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift & 0xff);
}

std::uint32_t get_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
  }
  return value;
}

std::string encode_head(std::string_view archive_id) {
  std::string text =
      "mlferry archive\nversion " + std::to_string(kVersion) + "\nid " + std::string(archive_id) + "\n";
  return text + "sha256 " + digest::sha256_hex(text) + "\n";
}

std::string decode_head(std::string_view text) {
  std::string const name(kHeadName);
  constexpr std::string_view first = "mlferry archive\nversion ";
  if (!text.starts_with(first)) throw Corrupt(name + ": this is not the head of an mlferry archive");
  auto rest = text.substr(first.size());
  auto const version = rest.substr(0, rest.find('\n'));
  if (version != std::to_string(kVersion)) {
    // The version may be a flipped bit or the mark of a newer program: say both.
    bool const number = !version.empty() && version.size() < 10 &&
                        version.find_first_not_of("0123456789") == std::string_view::npos;
    if (!number) throw Corrupt(name + ": the version is damaged");
    throw Corrupt(name + ": version " + std::string(version) +
                  " of the archive format; this program reads version " + std::to_string(kVersion) +
                  ". Use a newer mlferry, or check the file for damage");
  }
  rest.remove_prefix(std::min(rest.size(), version.size() + 1));
  if (!rest.starts_with("id ") || rest.size() < 36) throw Corrupt(name + ": damaged");
  std::string id(rest.substr(3, 32));
  if (!is_hex(id, 32) || text != encode_head(id)) throw Corrupt(name + ": damaged (checksum)");
  return id;
}

std::string rfc3339(std::int64_t ms) {
  namespace chrono = std::chrono;
  chrono::sys_time<chrono::milliseconds> const time{chrono::milliseconds(ms)};
  auto const day = chrono::floor<chrono::days>(time);
  chrono::year_month_day const date(day);
  chrono::hh_mm_ss const clock(time - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::string compact_time(std::string_view text) {
  std::string compact;
  for (char const c : text) {
    if (c != '-' && c != ':' && c != '.') compact += c;
  }
  return compact;
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  constexpr std::string_view shape = "dddd-dd-ddTdd:dd:dd.dddZ";
  if (text.size() != shape.size()) return std::nullopt;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    bool const digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == 'd' ? !digit : text[i] != shape[i]) return std::nullopt;
  }
  auto const number = [&](std::size_t at, std::size_t digits) {
    int value = 0;
    for (std::size_t i = at; i < at + digits; ++i) value = value * 10 + (text[i] - '0');
    return value;
  };
  namespace chrono = std::chrono;
  chrono::year_month_day const date(chrono::year(number(0, 4)),
                                    chrono::month(static_cast<unsigned>(number(5, 2))),
                                    chrono::day(static_cast<unsigned>(number(8, 2))));
  if (!date.ok() || number(11, 2) > 23 || number(14, 2) > 59 || number(17, 2) > 59) return std::nullopt;
  std::int64_t const days = chrono::sys_days(date).time_since_epoch().count();
  return ((days * 24 + number(11, 2)) * 60 + number(14, 2)) * 60'000 + number(17, 2) * 1000 + number(20, 3);
}

std::string describe(std::string_view kind, std::string_view id, std::string_view path) {
  std::string text(kind.substr(0, 100));
  text += ' ';
  text += id.substr(0, 200);
  if (!path.empty()) {
    text += " file ";
    text += path.substr(0, 500);
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

}  // namespace mlferry::archive
