#pragma once

#include <string>
#include <string_view>

#include "pepeunit/base/uuid.h"

// Which files of a repository a device gets (U6). Pure and thread-safe.
namespace pepeunit::archive {

enum class Rule {
  kKeep,
  kStamp,    // `schema.json` at the top: kept with the version added
  kReplace,  // `env.json` at the top in any case, for cards with FAT have no case: the unit's own takes its place
  kDrop,     // in a `.git` folder, or something on its path is named `example`
  kUnsafe,   // would be written outside of the folder it is unpacked in, or is no name everywhere; left out
};

Rule RuleFor(std::string_view path);

// The name for the file that a browser saves, without its ending: of the unit's name what is safe in every file system
// and header; a unit whose name leaves nothing is called by its id.
std::string ArchiveName(std::string_view unit_name, const Uuid& unit);

}  // namespace pepeunit::archive
