#include "protocol/mlflow/json.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace mlferry::mlflow;

namespace {

std::string spell(double value) {
  std::string out;
  append_json_double(out, value);
  return out;
}

std::uint64_t bits(const json::value& value) {
  return std::bit_cast<std::uint64_t>(value.get_double());
}

std::string error_of(std::string_view text) {
  try {
    parse_json(text, "the file");
  } catch (const JsonError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("protocol") {
  TEST_CASE("json: 100000 random doubles come back to the bit") {
    std::mt19937_64 random(20260401);
    int wrong = 0;
    int counted = 0;
    while (counted < 100'000) {
      double const value = std::bit_cast<double>(random());
      if (!std::isfinite(value)) continue;
      ++counted;
      json::value const back = parse_json(spell(value), "number");
      if (!back.is_double() || bits(back) != std::bit_cast<std::uint64_t>(value)) ++wrong;
    }
    CHECK(wrong == 0);
  }

  TEST_CASE("json: texts of 17 digits are rounded correctly") {
    std::mt19937_64 random(7);
    int wrong = 0;
    for (int i = 0; i < 20'000; ++i) {
      double const value =
          std::bit_cast<double>((random() & 0x800FFFFFFFFFFFFFu) | (random() % 2000 + 20) << 52);
      char text[40];
      auto const end = std::to_chars(text, text + sizeof(text), value, std::chars_format::scientific, 16).ptr;
      json::value const back =
          parse_json(std::string_view(text, static_cast<std::size_t>(end - text)), "number");
      if (bits(back) != std::bit_cast<std::uint64_t>(value)) ++wrong;
    }
    CHECK(wrong == 0);
  }

  TEST_CASE("json: special doubles") {
    CHECK(bits(parse_json("-0", "x")) == std::bit_cast<std::uint64_t>(-0.0));
    CHECK(bits(parse_json("-0.0", "x")) == std::bit_cast<std::uint64_t>(-0.0));
    CHECK(bits(parse_json("-0e5", "x")) == std::bit_cast<std::uint64_t>(-0.0));
    CHECK(parse_json("0", "x").is_int64());
    CHECK(parse_json("5e-324", "x").get_double() == std::numeric_limits<double>::denorm_min());
    CHECK(parse_json("2.2250738585072011e-308", "x").get_double() == 2.2250738585072011e-308);
    CHECK(parse_json("1.7976931348623157e+308", "x").get_double() == std::numeric_limits<double>::max());
    CHECK(std::isinf(parse_json("1e400", "x").get_double()));
    CHECK(parse_json("-1e400", "x").get_double() < 0);
    CHECK(std::isinf(parse_json("-1e400", "x").get_double()));
    CHECK(bits(parse_json("-1e-400", "x")) == std::bit_cast<std::uint64_t>(-0.0));
    // Halfway between 1 and the next double, and a hair above.
    CHECK(parse_json("1.00000000000000011102230246251565404236316680908203125", "x").get_double() == 1.0);
    CHECK(parse_json("1.00000000000000011102230246251565404236316680908203126", "x").get_double() ==
          std::nextafter(1.0, 2.0));
  }

  TEST_CASE("json: integers keep all 64 bits, longer ones become doubles") {
    CHECK(parse_json("9223372036854775807", "x").get_int64() == std::numeric_limits<std::int64_t>::max());
    CHECK(parse_json("-9223372036854775808", "x").get_int64() == std::numeric_limits<std::int64_t>::min());
    CHECK(parse_json("18446744073709551615", "x").get_uint64() == std::numeric_limits<std::uint64_t>::max());
    CHECK(parse_json("18446744073709551616", "x").get_double() == 18446744073709551616.0);
    CHECK(parse_json("-9223372036854775809", "x").get_double() == -9223372036854775808.0);
    CHECK(parse_json("100000000000000000000000000000", "x").get_double() == 1e29);
  }

  TEST_CASE("json: doubles in Python's spelling") {
    struct Case {
      double value;
      std::string_view text;
    };
    for (const auto& [value, text] : std::vector<Case>{
             {0.0, "0.0"},
             {-0.0, "-0.0"},
             {1.0, "1.0"},
             {-1.5, "-1.5"},
             {100.0, "100.0"},
             {0.1, "0.1"},
             {0.0001, "0.0001"},
             {0.00012, "0.00012"},
             {0.00001, "1e-05"},
             {1.5e-7, "1.5e-07"},
             {1e15, "1000000000000000.0"},
             {1e16, "1e+16"},
             {123456789012345680.0, "1.2345678901234568e+17"},
             {9007199254740993.0, "9007199254740992.0"},
             {1e22, "1e+22"},
             {1.0 / 3.0, "0.3333333333333333"},
             {5e-324, "5e-324"},
             {1.7976931348623157e+308, "1.7976931348623157e+308"},
             {123456.789, "123456.789"},
             {std::numeric_limits<double>::quiet_NaN(), "\"NaN\""},
             {std::numeric_limits<double>::infinity(), "\"Infinity\""},
             {-std::numeric_limits<double>::infinity(), "\"-Infinity\""},
         }) {
      CHECK(spell(value) == text);
    }
  }

  TEST_CASE("json: to and from Python bare NaN and Infinity are doubles, strings stay strings") {
    std::string const text = R"({"a":NaN,"b":[Infinity,-Infinity,"NaN",-1],"NaN":"Infinity","c":{"d":NaN}})";
    auto const value = parse_python_json(text, "x");
    CHECK(std::isnan(value.at("a").get_double()));
    CHECK(value.at("b").at(0).get_double() > 0);
    CHECK(value.at("b").at(1).get_double() < 0);
    CHECK(value.at("b").at(2).get_string() == "NaN");
    CHECK(value.at("NaN").get_string() == "Infinity");
    CHECK(to_python_json(value.get_object()) == text);
    CHECK(to_json(value) == R"({"a":"NaN","b":["Infinity","-Infinity","NaN",-1],"NaN":"Infinity","c":{"d":"NaN"}})");
    CHECK(to_canonical_json(value) != to_canonical_json(parse_json(text, "x")));
  }

  TEST_CASE("json: bare NaN and Infinity become strings, those in strings stay") {
    json::value const value = parse_json(
        R"({"a":NaN,"b":[Infinity,-Infinity, -1],"NaN":"NaN \"Infinity\" -Infinity","c":"\\","d":NaN})", "x");
    CHECK(
        to_json(value) ==
        R"({"a":"NaN","b":["Infinity","-Infinity",-1],"NaN":"NaN \"Infinity\" -Infinity","c":"\\","d":"NaN"})");
    CHECK(parse_json("NaN", "x").get_string() == "NaN");
    CHECK(parse_json(" -Infinity ", "x").get_string() == "-Infinity");
    CHECK_THROWS_AS(parse_json("-NaN", "x"), JsonError);
    CHECK_THROWS_AS(parse_python_json("[\"a\",-NaN]", "x"), JsonError);
    CHECK_THROWS_AS(parse_json("1NaN", "x"), JsonError);
    CHECK_THROWS_AS(parse_json("NaNNaN", "x"), JsonError);
    CHECK_THROWS_AS(parse_json("[NaN", "x"), JsonError);
    CHECK_THROWS_AS(parse_json("{NaN:1}garbage", "x"), JsonError);
  }

  TEST_CASE("json: errors name the file and the place, and echo nothing") {
    CHECK(error_of(R"({"password":"hunter2",})").find("the file: not valid JSON at byte ") == 0);
    CHECK(error_of(R"({"password":"hunter2",})").find("hunter2") == std::string::npos);
    // Offsets are those of the text that was given, whatever was quoted before.
    CHECK(error_of("[1,x]").find("at byte 3 ") != std::string::npos);
    CHECK(error_of("[NaN,NaN,Infinity,x]").find("at byte 18 ") != std::string::npos);
    CHECK(error_of("[1] 2").find("at byte 4 ") != std::string::npos);
  }

  TEST_CASE("json: what is not JSON is refused") {
    for (std::string_view text :
         {"",     " ",   "{",     "[1,]",     "{\"a\"}", "{\"a\":1,}", "nul",    "01", "1.",  ".5",  "+1",
          "0x10", "'a'", "[1] x", "\"\x01\"", "\"a",     "\"\\q\"",    "/*c*/1", "1e", "--1", "Inf", "nan"}) {
      CAPTURE(text);
      CHECK_THROWS_AS(parse_json(text, "x"), JsonError);
    }
    for (std::string_view text :
         {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\""}) {
      CHECK_THROWS_AS(parse_json(text, "x"), JsonError);
    }
    CHECK_THROWS_AS(parse_json(R"("\ud800")", "x"), JsonError);
    CHECK(parse_json(R"("\ud83d\ude00é\u0000")", "x").get_string() == std::string_view("😀é\0", 7));
  }

  TEST_CASE("json: depth is bounded") {
    auto const nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK_NOTHROW(parse_json(nested(100), "x"));
    CHECK_THROWS_AS(parse_json(nested(101), "x"), JsonError);
    CHECK_THROWS_AS(parse_json(std::string(1'000'000, '['), "x"), JsonError);
  }

  TEST_CASE("json: of duplicate keys the last one wins") {
    CHECK(to_json(parse_json(R"({"a":1,"b":2,"a":3})", "x")).find("\"a\":3") != std::string::npos);
    CHECK(to_json(parse_json(R"({"a":1,"a":3})", "x")) == R"({"a":3})");
  }

  TEST_CASE("json: written text") {
    CHECK(to_json(parse_json(R"( { "b" : [ 1 , 2.50 , true , null , "x" ] , "a" : { } } )", "x")) ==
          R"({"b":[1,2.5,true,null,"x"],"a":{}})");
    std::string out;
    append_json_string(out, std::string_view("\"\\/\b\f\n\r\t\x01\x1f\x7f é\0", 15));
    CHECK(out == "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f é\\u0000\"");
    CHECK(parse_json(out, "x").get_string() == std::string_view("\"\\/\b\f\n\r\t\x01\x1f\x7f é\0", 15));
  }

  TEST_CASE("json: canonical text sorts keys at every level") {
    json::value const one = parse_json(R"({"b":{"z":1,"y":[{"q":1,"p":2}]},"a":1.0,"é":0,"B":0})", "x");
    json::value const two = parse_json(R"({"é":0,"a":1.0,"B":0,"b":{"y":[{"p":2,"q":1}],"z":1}})", "x");
    CHECK(to_canonical_json(one) == R"({"B":0,"a":1.0,"b":{"y":[{"p":2,"q":1}],"z":1},"é":0})");
    CHECK(to_canonical_json(one) == to_canonical_json(two));
    CHECK(to_json(one) != to_json(two));
  }

  TEST_CASE("json: fields of another type read as absent") {
    json::value const value = parse_json(
        R"({"s":"x","i":7,"t":"-12","d":2.0,"h":2.5,"u":18446744073709551615,"n":NaN,"p":"-Infinity","b":true,"o":{},"l":[],"z":null,
            "big":1e300,"w":"12x","e":"","min":-9223372036854775808.0,"over":9223372036854775808.0})",
        "x");
    const json::object& object = value.get_object();
    CHECK(get_string(object, "s") == "x");
    CHECK(get_string(object, "i") == "");
    CHECK(get_string(object, "none") == "");
    CHECK(get_int(object, "i") == 7);
    CHECK(get_int(object, "t") == -12);
    CHECK(get_int(object, "d") == 2);
    CHECK(get_int(object, "min") == std::numeric_limits<std::int64_t>::min());
    for (std::string_view key : {"h", "u", "n", "s", "b", "o", "z", "none", "big", "w", "e", "over"}) {
      CAPTURE(key);
      CHECK(!get_int(object, key));
    }
    CHECK(get_double(object, "h") == 2.5);
    CHECK(get_double(object, "i") == 7.0);
    CHECK(std::isnan(get_double(object, "n").value()));
    CHECK(get_double(object, "p") == -std::numeric_limits<double>::infinity());
    for (std::string_view key : {"s", "t", "b", "o", "z", "none"}) CHECK(!get_double(object, key));
    CHECK(get_bool(object, "b"));
    CHECK(!get_bool(object, "i"));
    CHECK(!get_bool(object, "none"));
    CHECK(get_object(object, "o") != nullptr);
    CHECK(get_object(object, "l") == nullptr);
    CHECK(get_array(object, "l") != nullptr);
    CHECK(get_array(object, "none") == nullptr);
  }

  TEST_CASE("json: mutated texts are parsed or refused, and what is parsed is stable") {
    std::string const seed =
        R"({"runs":[{"info":{"run_id":"0a","start_time":1600000000999},"data":{"metrics":[{"key":"m","value":NaN},)"
        R"({"key":"é\ud83d\ude00","value":-1.5e-300}],"params":[{"key":"a","value":"\\\"x"}]}}],"t":[true,null,-Infinity]})";
    std::mt19937_64 random(99);
    int parsed = 0;
    int refused = 0;
    for (int round = 0; round < 30'000; ++round) {
      std::string text = seed;
      for (std::uint64_t change = random() % 4 + 1; change > 0; --change) {
        std::size_t const at = random() % text.size();
        switch (random() % 5) {
          case 0:
            text[at] = static_cast<char>(random());
            break;
          case 1:
            text.erase(at, random() % 9 + 1);
            break;
          case 2:
            text.insert(at, text.substr(random() % text.size(), random() % 12));
            break;
          case 3:
            text[at] = "{}[]\",:0-eN\\"[random() % 12];
            break;
          default:
            text.resize(at);
        }
        if (text.empty()) text = "[";
      }
      try {
        json::value const value = parse_json(text, "x");
        ++parsed;
        std::string const written = to_json(value);
        if (to_json(parse_json(written, "x")) != written) FAIL_CHECK("not stable: " << text);
      } catch (const JsonError&) {
        ++refused;
      }
    }
    CHECK(parsed > 100);
    CHECK(refused > 10'000);
  }
}
