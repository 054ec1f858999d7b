#pragma once

#include <functional>
#include <memory>
#include <string>

#include "block_cache.h"
#include "pepeunit/base/executor.h"
#include "pepeunit/base/trace.h"
#include "ports.h"
#include "update_asks.h"

namespace pepeunit::unit_ingest {

// Answers what devices ask about the version that they are offered: the manifest, and pieces of its files. What is the
// same for every unit of a version is asked for once and kept for a while. Thread-safe.
class Updates {
 public:
  struct Answer {
    int status = 200;
    std::string plaintext;
    bool file_bytes = false;
    std::int64_t retry_after_ms = 0;
    const char* result = "";  // for the metrics
  };
  using Done = std::function<void(Answer)>;

  // Both outlive it. `cache_bytes` bounds what is kept of files.
  Updates(Firmware& firmware, Executor& executor, std::size_t cache_bytes)
      : firmware_(firmware), executor_(executor), blocks_(cache_bytes) {}

  // `done` is called once: in the calling thread when nobody has to be asked, else on the executor.
  void Handle(std::shared_ptr<const Profile> profile, std::string_view plaintext, const TraceContext& trace, Done done);

 private:
  Answer Ask(const Profile& profile, const UpdateAsk& ask);
  Answer Read(const Profile& profile, const FileAsk& ask);
  // The piece, when all of it is kept here.
  bool ReadKept(const Profile& profile, const FileAsk& ask, std::string* out);

  Firmware& firmware_;
  Executor& executor_;
  BlockCache blocks_;
};

}  // namespace pepeunit::unit_ingest
