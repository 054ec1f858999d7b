#include "archive_writer.h"

#include <catch2/catch.hpp>

#include "fakes.h"
#include "pepeunit/base/bytes.h"

using namespace pepeunit;
using namespace pepeunit::archive;

TEST_CASE("files come out as they went in, with their modes and names", "[U6]") {
  const std::vector<TestFile> files = {
      {"main.py", "print('hello')\n"},      {"empty", ""},
      {"bin/run.sh", "#!/bin/sh\n", true},  {"имя/файл.txt", "текст"},
      {"random.bin", RandomBytes(300'000)}, {"zeros.bin", std::string(3'000'000, '\0')}};
  std::string zip;
  std::size_t largest = 0;
  ArchiveWriter writer(Format::kZip, [&](std::string_view piece) {
    zip += piece;
    largest = std::max(largest, piece.size());
    return true;
  });
  for (const TestFile& file : files) {
    REQUIRE(writer
                .Begin(file.path, static_cast<std::int64_t>(file.text.size()),
                       file.executable ? Mode::kExecutable : Mode::kFile)
                .ok());
    for (std::size_t at = 0; at < file.text.size(); at += 70'000) {
      REQUIRE(writer.Write(std::string_view(file.text).substr(at, 70'000)).ok());
    }
  }
  REQUIRE(writer.Finish().ok());
  CHECK(largest <= ArchiveWriter::kMaxPiece);
  CHECK(zip.size() < 400'000);  // the zeros are compressed
  const Unzipped out = Unzip(zip);
  REQUIRE(out.ok);
  REQUIRE(out.order.size() == files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    CHECK(out.order[i] == files[i].path);
    CHECK(out.files.at(files[i].path) == files[i].text);
    CHECK(out.modes.at(files[i].path) == (files[i].executable ? 0755u : 0644u));
  }
}

TEST_CASE("an archive without files is an archive", "[U6]") {
  std::string zip;
  ArchiveWriter writer(Format::kZip, [&](std::string_view piece) { return zip += piece, true; });
  REQUIRE(writer.Finish().ok());
  CHECK(zip.starts_with("PK\x05\x06"));
}

TEST_CASE("an archive that was not finished has no directory", "[U6]") {
  std::string zip;
  {
    ArchiveWriter writer(Format::kZip, [&](std::string_view piece) { return zip += piece, true; });
    REQUIRE(writer.Begin("a", 200'000, Mode::kFile).ok());
    REQUIRE(writer.Write(RandomBytes(200'000)).ok());
  }
  CHECK_FALSE(zip.empty());
  CHECK(zip.find("PK\x05\x06") == std::string::npos);
  CHECK_FALSE(Unzip(zip).ok);
}

TEST_CASE("a receiver that went away ends the writing", "[U6]") {
  int pieces = 0;
  ArchiveWriter writer(Format::kZip, [&](std::string_view) { return ++pieces < 3; });
  REQUIRE(writer.Begin("a", 10'000'000, Mode::kFile).ok());
  absl::Status status;
  int writes = 0;
  while (status.ok() && writes < 100) {
    status = writer.Write(RandomBytes(100'000));
    ++writes;
  }
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(writes < 10);
  CHECK(pieces == 3);
  CHECK(writer.Begin("b", 1, Mode::kFile).code() == absl::StatusCode::kCancelled);
  CHECK(writer.Finish().code() == absl::StatusCode::kCancelled);
  CHECK(pieces == 3);
}

TEST_CASE("a file of another length than announced is an error", "[U6]") {
  std::string zip;
  const auto sink = [&](std::string_view piece) { return zip += piece, true; };
  ArchiveWriter longer(Format::kZip, sink);
  REQUIRE(longer.Begin("a", 2, Mode::kFile).ok());
  CHECK(longer.Write("abc").code() == absl::StatusCode::kDataLoss);
  CHECK_FALSE(longer.Finish().ok());
  ArchiveWriter shorter(Format::kZip, sink);
  REQUIRE(shorter.Begin("a", 5, Mode::kFile).ok());
  REQUIRE(shorter.Write("abc").ok());
  CHECK(shorter.Begin("b", 1, Mode::kFile).code() == absl::StatusCode::kDataLoss);
  CHECK_FALSE(shorter.Finish().ok());
}
