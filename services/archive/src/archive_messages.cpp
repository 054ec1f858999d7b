#include "archive_messages.h"

#include <utility>

#include "pepeunit/base/errors.h"
#include "rules.h"

namespace pepeunit::archive {
namespace {

static_assert(static_cast<int>(NoteReason::kExample) == v1::FILE_NOTE_REASON_EXAMPLE &&
              static_cast<int>(NoteReason::kReplaced) == v1::FILE_NOTE_REASON_REPLACED &&
              static_cast<int>(NoteReason::kUnsafeName) == v1::FILE_NOTE_REASON_UNSAFE_NAME &&
              static_cast<int>(NoteReason::kIgnored) == v1::FILE_NOTE_REASON_IGNORED &&
              static_cast<int>(NoteReason::kSymbolicLink) == v1::FILE_NOTE_REASON_SYMBOLIC_LINK &&
              static_cast<int>(NoteReason::kSubmodule) == v1::FILE_NOTE_REASON_SUBMODULE &&
              static_cast<int>(NoteReason::kLfsPointer) == v1::FILE_NOTE_REASON_LFS_POINTER &&
              static_cast<int>(NoteReason::kCaseCollision) == v1::FILE_NOTE_REASON_CASE_COLLISION);

// Names of files are bytes: what is no printable ASCII is replaced, so that the text is valid and cannot mislead.
std::string ShownPath(const std::string& path) {
  constexpr std::size_t kMost = 1024;
  std::string shown = path.substr(0, kMost);
  if (RuleFor(path) != Rule::kUnsafe && path.size() <= kMost) return path;
  for (char& c : shown) c = c >= 0x20 && c < 0x7F ? c : '?';
  return shown;
}

void AddNotes(const Notes& notes, google::protobuf::RepeatedPtrField<v1::FileNote>* out) {
  for (const Note& note : notes.first) {
    auto* told = out->Add();
    told->set_path(ShownPath(note.path));
    told->set_reason(static_cast<v1::FileNoteReason>(static_cast<int>(note.reason)));
  }
}

}  // namespace

absl::StatusOr<ArchiveWanted> ReadWanted(const v1::DownloadUnitArchiveRequest& request) {
  ArchiveWanted wanted{.unit_id = request.unit_id()};
  switch (request.format()) {
    case v1::ARCHIVE_FORMAT_UNSPECIFIED:
    case v1::ARCHIVE_FORMAT_ZIP:
      break;
    case v1::ARCHIVE_FORMAT_TAR_GZ:
      wanted.format = Format::kTarGz;
      break;
    default:
      return InvalidField("format", "must be ARCHIVE_FORMAT_ZIP or ARCHIVE_FORMAT_TAR_GZ");
  }
  if (!request.has_range()) return wanted;
  Range& range = wanted.range.emplace();
  if (request.range().has_first()) range.first = request.range().first();
  if (request.range().has_last()) range.last = request.range().last();
  range.if_etag = request.range().if_etag();
  const bool senseless = range.first.value_or(0) < 0 || range.last.value_or(0) < 0 || (!range.first && !range.last) ||
                         (range.first && range.last && *range.last < *range.first);
  if (senseless) return InvalidField("range", "is no range of bytes");
  return wanted;
}

UnitArchives::Send AsChunks(const std::function<bool(const common::v1::FileChunk&)>& write) {
  return [&write, first = true](const ArchiveHead& head, std::string_view data) mutable {
    common::v1::FileChunk chunk;
    if (std::exchange(first, false)) {
      chunk.set_content_type(head.media_type);
      chunk.set_filename(head.filename);
      chunk.set_etag(head.etag);
      if (head.part) {
        chunk.mutable_part()->set_first(head.part->first);
        chunk.mutable_part()->set_length(head.part->length);
        chunk.mutable_part()->set_total(head.part->total);
      }
    }
    chunk.set_data(data.data(), data.size());
    return write(chunk);
  };
}

v1::ListUnitArchiveFilesResponse ToMessage(const UnitArchives::Listing& listing) {
  v1::ListUnitArchiveFilesResponse out;
  out.set_commit(listing.release->commit);
  for (const ReleaseFile& file : listing.files) {
    auto* told = out.add_files();
    told->set_path(file.path);
    told->set_size(static_cast<std::int64_t>(file.content->size()));
    told->set_executable(file.executable);
  }
  AddNotes(listing.release->left_out, out.mutable_left_out());
  out.set_left_out_count(listing.release->left_out.count);
  AddNotes(listing.release->warnings, out.mutable_warnings());
  out.set_warning_count(listing.release->warnings.count);
  return out;
}

}  // namespace pepeunit::archive
