// FORMAT.md as tests: its example is decoded, and what it forbids is refused.

#include <doctest/doctest.h>

#include "storage/archive/archive.hpp"
#include "storage/archive/blob_index.hpp"
#include "storage/archive/compression.hpp"
#include "storage/archive/entry.hpp"
#include "storage/archive/format.hpp"
#include "storage/archive/manifest.hpp"
#include "storage/archive/pack_format.hpp"
#include "support/archive_fixture.hpp"

using namespace mlferry::archive;
namespace test = mlferry::test;
namespace digest = mlferry::digest;

namespace {

Digest digest_of(std::string_view text) {
  return *parse_digest(digest::sha256_hex(text));
}

// The bytes of the ```hex block of FORMAT.md: two digits and a space each, up to a longer gap.
std::string example_bytes(const std::string& document) {
  auto const begin = document.find("```hex\n");
  auto const end = document.find("```", begin + 7);
  std::string bytes;
  std::size_t at = begin + 7;
  while (at < end) {
    auto const line_end = document.find('\n', at);
    auto const line = document.substr(at, line_end - at);
    for (std::size_t i = 0; i + 2 <= line.size() && is_hex(line.substr(i, 2), 2); i += 3) {
      bytes += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
      if (i + 2 < line.size() && line[i + 2] != ' ') break;
    }
    at = line_end + 1;
  }
  return bytes;
}

}  // namespace

TEST_SUITE("storage") {
  TEST_CASE("format: the worked example of FORMAT.md") {
    auto const document = test::read_file(MLFERRY_SOURCE_DIR "/src/storage/archive/FORMAT.md");
    auto const pack = example_bytes(document);
    REQUIRE(pack.size() == 8 + 5 + 45 + 48);
    CHECK(pack.starts_with(magic_of(PackKind::data)));
    auto const length =
        decode_list_length(std::string_view(pack).substr(pack.size() - kFooterSize), pack.size(), "p");
    CHECK(length == 45);
    auto const frames = decode_trailer(std::string_view(pack).substr(13), pack.size(), "p");
    REQUIRE(frames.size() == 1);
    CHECK(frames[0].encoding == Encoding::raw);
    CHECK(frames[0].offset == 8);
    REQUIRE(frames[0].blobs.size() == 1);
    CHECK(frames[0].blobs[0] == Blob{digest_of("hello"), 5});
    CHECK(pack.substr(frames[0].offset, frames[0].stored) == "hello");
    CHECK(encode_trailer(frames) == pack.substr(13));
    CHECK(hex(list_digest(pack)) == digest::sha256_hex(std::string_view(pack).substr(13, length)));
    CHECK(document.find(pack_name(PackKind::data, hex(list_digest(pack)))) != std::string::npos);
  }

  TEST_CASE("format: trailers that do not add up are refused") {
    std::vector<PackFrame> frames(2);
    frames[0] = {Encoding::raw, 8, 5, 5, {{digest_of("hello"), 5}}};
    frames[1] = {Encoding::zstd, 13, 20, 70, {{digest_of("a"), 30}, {digest_of("b"), 40}}, digest_of("stored")};
    auto const good = encode_trailer(frames);
    auto const size = 8 + 25 + good.size();
    CHECK(decode_trailer(good, size, "p") == frames);
    for (std::size_t at = 0; at < good.size(); ++at) {
      auto bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      CHECK_THROWS_AS(decode_trailer(bad, size, "p"), Corrupt);
      CHECK_THROWS_AS(decode_trailer(good.substr(at + 1), size, "p"), Corrupt);
    }
    CHECK_THROWS_AS(decode_trailer(good, size + 1, "p"), Corrupt);
    CHECK_THROWS_AS(decode_trailer(good, size - 1, "p"), Corrupt);
    // With a right checksum, as an enemy would write them.
    auto const refused = [](PackFrame frame, std::uint64_t bytes) {
      auto const trailer = encode_trailer({std::move(frame)});
      CHECK_THROWS_AS(decode_trailer(trailer, bytes + trailer.size(), "p"), Corrupt);
    };
    refused({Encoding::raw, 8, 5, 5, {}}, 13);
    refused({Encoding::raw, 8, 5, 4, {{digest_of("x"), 4}}}, 13);
    refused({Encoding::zstd, 8, 5, 0, {{digest_of("x"), 0}}}, 13);
    refused({Encoding::zstd, 8, 5, 0, {{digest_of("x"), 0xffffffff}}}, 13);
    refused({static_cast<Encoding>(2), 8, 5, 5, {{digest_of("x"), 5}}}, 13);
    refused({Encoding::zstd, 8, 0xffffffff, 5, {{digest_of("x"), 5}}}, 13);
  }

  TEST_CASE("format: head") {
    std::string const id(32, 'a');
    auto const head = encode_head(id);
    CHECK(decode_head(head) == id);
    for (std::size_t at = 0; at < head.size(); ++at) {
      auto bad = head;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      CHECK_THROWS_AS(decode_head(bad), Corrupt);
      CHECK_THROWS_AS(decode_head(head.substr(0, at)), Corrupt);
    }
    try {
      decode_head("mlferry archive\nversion 2\nsomething else\n");
      FAIL_CHECK("version 2 was read");
    } catch (const Corrupt& error) {
      CHECK(std::string(error.what()).find("version 2") != std::string::npos);
    }
  }

  TEST_CASE("format: manifest") {
    Manifest manifest;
    manifest.archive_id = std::string(32, 'a');
    manifest.info.id = "0123456789abcdef";
    manifest.info.created = "2026-01-02T03:04:05.678Z";
    manifest.info.source = "http://server";
    manifest.info.objects = 3;
    manifest.info.summary = {{"note", 1.5}};
    manifest.catalog = catalog_name(std::string(64, 'c'));
    manifest.catalog_size = 77;
    manifest.packs = {{pack_name(PackKind::data, std::string(64, '1')), 100, false},
                      {pack_name(PackKind::meta, std::string(64, '2')), 200, true}};
    auto const name = manifest.name();
    CHECK(name == "snapshots/20260102T030405678Z-0123456789abcdef.json");
    auto const text = encode_manifest(manifest);
    auto const back = decode_manifest(text, name);
    CHECK(encode_manifest(back) == text);
    CHECK(back.packs[1].own);
    CHECK_THROWS_AS(decode_manifest(text, "snapshots/20260102T030405678Z-0123456789abcde0.json"), Corrupt);
    for (std::size_t at = 0; at < text.size(); ++at) {
      auto bad = text;
      bad[at] = static_cast<char>(bad[at] ^ 2);
      CHECK_THROWS_AS(decode_manifest(bad, name), Corrupt);
    }
    auto hostile = manifest;
    hostile.packs[0].name = "../../etc/passwd";
    CHECK_THROWS_AS(decode_manifest(encode_manifest(hostile), name), Corrupt);
    hostile = manifest;
    hostile.packs[0].size = ~0ull;
    CHECK_THROWS_AS(decode_manifest(encode_manifest(hostile), name), Corrupt);
    hostile = manifest;
    hostile.catalog = "catalogs/../x.sqlite";
    CHECK_THROWS_AS(decode_manifest(encode_manifest(hostile), name), Corrupt);
    hostile = manifest;
    hostile.packs[0].own = true;  // a data pack holds no entries
    CHECK_THROWS_AS(decode_manifest(encode_manifest(hostile), name), Corrupt);
  }

  TEST_CASE("format: entries") {
    ObjectRow row{"run", "r\"1", "p", "n\n", "active", "FINISHED", -5, "fp"};
    std::string text;
    append_entry(text, ObjectEntry{row, 9, std::nullopt, 0});
    text += "{\"a\":\n1}\n\n";
    append_entry(text, ObjectEntry{row, 7, KeptRecord{digest_of("f"), 12}, 0});
    append_entry(text, FileEntry{"run", "r", "a/b", 3, digest_of("abc"), {}});
    append_entry(text,
                 FileEntry{"run", "r", "c", 6, digest_of("abcdef"), {digest_of("abc"), digest_of("def")}});
    append_entry(text, GapRow{"run", "r", "", "why"});
    text += "{\"later\":{\"version\":2}}\n";
    std::vector<Entry> entries;
    decode_entries(text, "w", [&](Entry entry) { entries.push_back(std::move(entry)); });
    REQUIRE(entries.size() == 5);
    auto const& object = std::get<ObjectEntry>(entries[0]);
    CHECK(object.row.id == "r\"1");
    CHECK(object.row.name == "n\n");
    CHECK(object.row.time == -5);
    CHECK(text.substr(object.record_offset, object.length) == "{\"a\":\n1}\n");
    CHECK(std::get<ObjectEntry>(entries[1]).kept->offset == 12);
    CHECK(std::get<FileEntry>(entries[3]).chunks.size() == 2);
    CHECK(std::get<GapRow>(entries[4]).reason == "why");

    auto const refused = [](const std::string& bad) {
      CHECK_THROWS_AS(decode_entries(bad, "w", [](Entry) {}), Corrupt);
    };
    refused("x\n");
    refused("{}");
    refused("[]\n");
    refused("{\"object\":{\"kind\":\"run\",\"id\":\"a\",\"length\":5}}\n12345");
    refused("{\"object\":{\"kind\":\"run\",\"id\":\"a\",\"length\":-1}}\n\n");
    refused("{\"object\":{\"kind\":\"run\",\"id\":\"a\",\"length\":99999999999}}\n\n");
    std::string file;
    append_entry(file, FileEntry{"run", "r", "../x", 3, digest_of("abc"), {}});
    refused(file);
  }

  TEST_CASE("format: paths, names, times") {
    for (std::string_view const path : {"a", "a/b", "a b/\xc3\xa9", "...", ".a", "a..b"})
      CHECK(path_problem(path).empty());
    for (std::string_view const path : {"", "/a", "a/", "a//b", ".", "..", "a/..", "./a"}) {
      CAPTURE(path);
      CHECK_FALSE(path_problem(path).empty());
    }
    CHECK_FALSE(path_problem(std::string(4097, 'a')).empty());
    CHECK(kind_of_pack(pack_name(PackKind::meta, std::string(64, '0'))) == PackKind::meta);
    CHECK_FALSE(kind_of_pack("packs/data/x.pack"));
    CHECK_FALSE(kind_of_pack("packs/data/" + std::string(64, 'A') + ".pack"));
    CHECK(rfc3339(1'700'000'000'123) == "2023-11-14T22:13:20.123Z");
    CHECK(parse_rfc3339("2023-11-14T22:13:20.123Z") == 1'700'000'000'123);
    CHECK_FALSE(parse_rfc3339("2023-13-14T22:13:20.123Z"));
    CHECK_FALSE(parse_rfc3339("2023-11-14T22:13:20.123"));
    CHECK(compact_time("2023-11-14T22:13:20.123Z") == "20231114T221320123Z");
  }

  TEST_CASE("compression: only what pays, and only whole frames come back") {
    Compressor compressor;
    std::string const zeros(100'000, '\0');
    auto const noise = test::random_bytes(100'000, 1);
    Buffer out(worthwhile_size(zeros.size()));
    auto const in = mlferry::async::as_bytes(zeros);
    auto const size = compressor.compress(in, out.span(), 1);
    REQUIRE(size);
    CHECK_FALSE(compressor.compress(mlferry::async::as_bytes(noise), out.span(), 1));
    Buffer back(zeros.size());
    CHECK(decompress(out.span().first(*size), back.span()));
    CHECK(mlferry::async::as_text(back.span()) == zeros);
    CHECK_FALSE(decompress(out.span().first(*size - 1), back.span()));
    CHECK_FALSE(decompress(out.span().first(*size + 1), back.span()));
    Buffer longer(zeros.size() + 1);
    CHECK_FALSE(decompress(out.span().first(*size), longer.span()));
    for (std::size_t const raw : {0, 1, 2, 32, 33, 34, 100}) CHECK((raw == 0 || worthwhile_size(raw) < raw));
    CHECK(worthwhile_size(1'000'000) == 1'000'000 - 30'303);
  }

  TEST_CASE("blob index: finds what was added, keeps the first place") {
    BlobIndex index;
    CHECK(index.find(digest_of("x")) == nullptr);
    for (std::uint32_t i = 0; i < 5000; ++i) CHECK(index.add({digest_of(std::to_string(i)), i + 1, i, 0, 1}));
    CHECK(index.size() == 5000);
    CHECK_FALSE(index.add({digest_of("7"), 99, 0, 0, 1}));
    for (std::uint32_t i = 0; i < 5000; ++i) CHECK(index.find(digest_of(std::to_string(i)))->frame == i);
    CHECK(index.find(digest_of("5000")) == nullptr);
  }
}
