#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "pepeunit/base/errors.h"
#include "sources.h"

namespace pepeunit::archive {

struct TestFile {
  std::string path, text;
  bool executable = false;
  Piece::Kind kind = Piece::Kind::kFile;
};

inline const std::string kTestCommit(40, 'c');

// Sources in memory; files come in pieces of `piece_bytes`.
class MemorySources final : public Sources {
 public:
  absl::StatusOr<Package> GetPackage(const rpc::Context&, const Uuid& unit) override {
    if (!package_error.ok()) return package_error;
    return Package{
        .unit = unit, .unit_name = unit_name, .repo_unit_id = "repo", .commit = kTestCommit, .sealed_env = "sealed"};
  }
  absl::StatusOr<std::string> OpenEnv(const rpc::Context&, const Package&) override { return env; }
  absl::Status ReadTree(const rpc::Context&, const Package&,
                        const std::function<absl::Status(const Piece&)>& take) override {
    for (const TestFile& file : files) {
      std::size_t at = 0;
      do {
        Piece piece;
        if (at == 0) {
          piece.path = file.path;
          piece.kind = file.kind;
          piece.size = static_cast<std::int64_t>(file.text.size()) + announce_more;
          piece.executable = file.executable;
        }
        piece.data = file.text.substr(at, piece_bytes);
        at += piece_bytes;
        ++pieces;
        if (absl::Status status = take(piece); !status.ok()) return status;
      } while (at < file.text.size());
    }
    return tree_error;
  }

  std::vector<TestFile> files;
  std::string env = R"({"PEPEUNIT_TOKEN":"t"})", unit_name = "Boiler room";
  absl::Status package_error, tree_error;
  std::size_t piece_bytes = 64 * 1024;
  std::int64_t announce_more = 0;
  int pieces = 0;
};

struct Unzipped {
  std::vector<std::string> order;
  std::map<std::string, std::string> files;
  std::map<std::string, unsigned> modes;
  bool ok = false;
};

// A zip is read by the directory at the end, as unpacking programs do; anything else as a tar.gz.
inline Unzipped Unzip(const std::string& zip) {
  Unzipped out;
  const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr), previous = ::uselocale(utf8);
  struct ::archive* reader = ::archive_read_new();
  ::archive_read_support_format_zip_seekable(reader);
  ::archive_read_support_format_tar(reader);
  ::archive_read_support_filter_gzip(reader);
  if (::archive_read_open_memory(reader, zip.data(), zip.size()) == ARCHIVE_OK) {
    struct ::archive_entry* entry = nullptr;
    int result = ARCHIVE_OK;
    while ((result = ::archive_read_next_header(reader, &entry)) == ARCHIVE_OK) {
      const std::string name = ::archive_entry_pathname_utf8(entry);
      out.order.push_back(name);
      out.modes[name] = ::archive_entry_perm(entry);
      std::string text(static_cast<std::size_t>(::archive_entry_size(entry)), '\0');
      if (::archive_read_data(reader, text.data(), text.size()) != static_cast<la_ssize_t>(text.size())) break;
      out.files[name] = std::move(text);
    }
    out.ok = result == ARCHIVE_EOF;
  }
  ::archive_read_free(reader);
  ::uselocale(previous);
  ::freelocale(utf8);
  return out;
}

inline rpc::Context TestCall() {
  return {.caller = {}, .deadline = std::chrono::system_clock::now() + std::chrono::minutes(1), .cancelled = [] {
            return false;
          }};
}

}  // namespace pepeunit::archive
