#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "pepeunit/base/uuid.h"
#include "pepeunit/rpc/server.h"

namespace pepeunit::archive {

// What a unit's archive is made of.
struct Package {
  Uuid unit;
  std::string unit_name;
  std::string repo_unit_id;
  std::string commit;      // 40 hex digits
  std::string sealed_env;  // env.json
};

// A piece of a file of the repository. All but `data` are set in the first piece of each file.
struct Piece {
  enum class Kind { kFile, kSymbolicLink, kSubmodule };  // only files have content
  std::string path;
  Kind kind = Kind::kFile;
  std::int64_t size = 0;
  bool executable = false;
  std::string data;
};

// Where it comes from. Implementations are thread-safe; errors are those of the services asked, ready for the caller.
class Sources {
 public:
  virtual ~Sources() = default;

  // Decides whether the caller may have the archive, too.
  virtual absl::StatusOr<Package> GetPackage(const rpc::Context& call, const Uuid& unit) = 0;
  // The text of env.json. The caller wipes it.
  virtual absl::StatusOr<std::string> OpenEnv(const rpc::Context& call, const Package& package) = 0;
  // Hands over the files of the commit in the order of their paths, one piece after another, as fast as `take` takes
  // them. Stops at the first error of `take` and returns it.
  virtual absl::Status ReadTree(const rpc::Context& call, const Package& package,
                                const std::function<absl::Status(const Piece&)>& take) = 0;
};

}  // namespace pepeunit::archive
