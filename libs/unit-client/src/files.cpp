#include "pepeunit/unit_client/files.h"

#include <cryptopp/sha.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "pepeunit/base/bytes.h"

namespace pepeunit::unit_client {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void Fail(const char* what, const fs::path& path) {
  throw fs::filesystem_error(what, path, std::error_code(errno, std::generic_category()));
}

// A file descriptor that is closed at the end.
class Opened {
 public:
  Opened(const fs::path& path, int flags) : number_(open(path.c_str(), flags | O_CLOEXEC, 0644)) {
    if (number_ < 0) Fail("cannot open", path);
  }
  ~Opened() { close(number_); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

std::size_t ReadSome(const Opened& file, const fs::path& path, std::span<char> into) {
  while (true) {
    const ssize_t count = read(file.number(), into.data(), into.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) Fail("cannot read", path);
  }
}

void WriteOut(const Opened& file, const fs::path& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = write(file.number(), content.data(), content.size());
    if (count < 0 && errno != EINTR) Fail("cannot write", path);
    if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

Files::Kind Files::KindOf(const fs::path& path) const {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return Kind::kNone;
  return S_ISDIR(found.st_mode) ? Kind::kFolder : Kind::kFile;
}

std::int64_t Files::SizeOf(const fs::path& path) const {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 ? static_cast<std::int64_t>(found.st_size) : -1;
}

bool Files::IsExecutable(const fs::path& path) const {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && (found.st_mode & S_IXUSR) != 0;
}

std::string Files::Read(const fs::path& path) const {
  const Opened file(path, O_RDONLY);
  std::string content;
  std::array<char, 16384> piece{};
  while (const std::size_t count = ReadSome(file, path, piece)) content.append(piece.data(), count);
  return content;
}

std::string Files::Sha256Of(const fs::path& path) const {
  const Opened file(path, O_RDONLY);
  CryptoPP::SHA256 hash;
  std::array<char, 65536> piece{};
  while (const std::size_t count = ReadSome(file, path, piece)) {
    hash.Update(reinterpret_cast<const CryptoPP::byte*>(piece.data()), count);
  }
  std::array<std::uint8_t, CryptoPP::SHA256::DIGESTSIZE> digest{};
  hash.Final(digest.data());
  return HexEncode(digest);
}

std::vector<std::string> Files::List(const fs::path& path) const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::int64_t Files::FreeBytes(const fs::path& path) const {
  return static_cast<std::int64_t>(fs::space(path).available);
}

void Files::WriteAll(const fs::path& path, std::string_view content, int flags, bool sync) {
  BeforeChange("create", path);
  const Opened file(path, O_WRONLY | O_CREAT | flags);
  BeforeChange("write nothing", path);
  WriteOut(file, path, content.substr(0, content.size() / 2));
  BeforeChange("write the half", path);
  WriteOut(file, path, content.substr(content.size() / 2));
  if (sync && fsync(file.number()) != 0) Fail("cannot sync", path);
}

void Files::Write(const fs::path& path, std::string_view content) { WriteAll(path, content, O_TRUNC, true); }

void Files::Append(const fs::path& path, std::string_view content) { WriteAll(path, content, O_APPEND, false); }

void Files::SetExecutable(const fs::path& path, bool executable) {
  BeforeChange("chmod", path);
  if (chmod(path.c_str(), executable ? 0755 : 0644) != 0) Fail("cannot change the mode", path);
}

void Files::Rename(const fs::path& from, const fs::path& to) {
  BeforeChange("rename", to);
  if (rename(from.c_str(), to.c_str()) != 0) Fail("cannot rename to", to);
}

void Files::Remove(const fs::path& path) {
  BeforeChange("remove", path);
  if (unlink(path.c_str()) != 0) Fail("cannot remove", path);
}

void Files::MakeFolder(const fs::path& path) {
  BeforeChange("mkdir", path);
  if (mkdir(path.c_str(), 0755) != 0) Fail("cannot make", path);
}

bool Files::RemoveFolder(const fs::path& path) {
  BeforeChange("rmdir", path);
  return rmdir(path.c_str()) == 0;
}

void Files::Sync(const fs::path& path) const {
  const Opened file(path, O_RDONLY);
  if (fsync(file.number()) != 0) Fail("cannot sync", path);
}

}  // namespace pepeunit::unit_client
