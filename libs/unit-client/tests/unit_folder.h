#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "pepeunit/unit_client/files.h"

namespace pepeunit::unit_client::testing {

// A folder of a unit that is removed in the end.
class UnitFolder {
 public:
  UnitFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "unit-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~UnitFolder() { std::filesystem::remove_all(folder_); }
  UnitFolder(const UnitFolder&) = delete;
  UnitFolder& operator=(const UnitFolder&) = delete;

  const std::filesystem::path& folder() const { return folder_; }
  void Put(std::string_view name, std::string_view content) const { Files().Write(folder_ / name, content); }

 private:
  std::filesystem::path folder_;
};

}  // namespace pepeunit::unit_client::testing
