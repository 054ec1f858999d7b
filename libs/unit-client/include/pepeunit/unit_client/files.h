#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pepeunit::unit_client {

// The file system as the journal of updates needs it. What changes something is durable when it returns, or as soon as
// Sync() of the folder above has returned where it says so. Errors are std::filesystem::filesystem_error; they stop in
// Guard and Unit. Not thread-safe.
class Files {
 public:
  virtual ~Files() = default;

  enum class Kind { kNone, kFile, kFolder };
  Kind KindOf(const std::filesystem::path& path) const;          // follows symbolic links
  std::int64_t SizeOf(const std::filesystem::path& path) const;  // bytes; -1 when there is none
  bool IsExecutable(const std::filesystem::path& path) const;    // by its owner
  std::string Read(const std::filesystem::path& path) const;
  std::string Sha256Of(const std::filesystem::path& path) const;           // lower-case hex; reads it piece by piece
  std::vector<std::string> List(const std::filesystem::path& path) const;  // names, sorted
  virtual std::int64_t FreeBytes(const std::filesystem::path& path) const;

  void Write(const std::filesystem::path& path, std::string_view content);   // creates or truncates
  void Append(const std::filesystem::path& path, std::string_view content);  // creates; not durable before Sync()
  void SetExecutable(const std::filesystem::path& path, bool executable);    // 0755 or 0644
  // Of names: durable when the folders are.
  void Rename(const std::filesystem::path& from, const std::filesystem::path& to);
  void Remove(const std::filesystem::path& path);  // a file
  void MakeFolder(const std::filesystem::path& path);
  bool RemoveFolder(const std::filesystem::path& path);  // false when it is not empty, or none
  void Sync(const std::filesystem::path& path) const;    // a file's content, or the names in a folder

 protected:
  // Called before each change, and once more in the middle of a write.
  virtual void BeforeChange(std::string_view /*what*/, const std::filesystem::path& /*path*/) {}

 private:
  void WriteAll(const std::filesystem::path& path, std::string_view content, int flags, bool sync);
};

}  // namespace pepeunit::unit_client
