#include "archive_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>

#include "pepeunit/base/errors.h"

namespace pepeunit::archive {
namespace {

constexpr int kBlock = 32 * 1024;

// libarchive marks names as UTF-8 by the thread's locale, and services run in "C".
class Utf8Locale {
 public:
  Utf8Locale() : previous_(::uselocale(Utf8())) {}
  ~Utf8Locale() { ::uselocale(previous_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t Utf8() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;  // null leaves the thread's locale: only the marks of names other than ASCII are lost
  }
  locale_t previous_;
};

bool Choose(struct ::archive* writer, Format format) {
  if (format == Format::kZip) {
    return ::archive_write_set_format_zip(writer) == ARCHIVE_OK &&
           ::archive_write_zip_set_compression_deflate(writer) == ARCHIVE_OK;
  }
  return ::archive_write_set_format_pax_restricted(writer) == ARCHIVE_OK &&
         ::archive_write_add_filter_gzip(writer) == ARCHIVE_OK &&
         ::archive_write_set_options(writer, "gzip:!timestamp") == ARCHIVE_OK;
}

}  // namespace

struct ArchiveWriter::Impl {
  Impl(Format format, Sink s) : sink(std::move(s)), writer(::archive_write_new()) {
    // Without the padding that tapes want.
    const bool ready = writer != nullptr && Choose(writer, format) &&
                       ::archive_write_set_bytes_per_block(writer, kBlock) == ARCHIVE_OK &&
                       ::archive_write_set_bytes_in_last_block(writer, 1) == ARCHIVE_OK &&
                       ::archive_write_open(writer, this, nullptr, OnWrite, nullptr) == ARCHIVE_OK;
    failed = !ready;
  }

  ~Impl() {
    // libarchive frees the state of an unfinished file only when it closes the archive; what it writes then goes
    // nowhere, so an archive that was broken off does not look whole.
    gone = true;
    if (writer != nullptr) ::archive_write_free(writer);
  }

  // Never fails, for libarchive leaks after a failed write: once the receiver is gone, the rest is dropped and the
  // callers below see `gone`.
  static la_ssize_t OnWrite(struct ::archive*, void* self, const void* data, std::size_t length) {
    Impl& impl = *static_cast<Impl*>(self);
    const std::string_view all(static_cast<const char*>(data), length);
    for (std::size_t at = 0; at < length && !impl.gone; at += kMaxPiece) {
      impl.gone = !impl.sink(all.substr(at, kMaxPiece));
    }
    return static_cast<la_ssize_t>(length);
  }

  absl::Status Fail() {
    failed = true;
    if (gone) return absl::CancelledError("The receiver went away.");
    const char* reason = writer == nullptr ? "no memory" : ::archive_error_string(writer);
    return Internal(std::string("archive: ") + (reason == nullptr ? "unknown error" : reason));
  }

  absl::Status CloseEntry() {
    if (missing != 0) {
      failed = true;
      return absl::DataLossError("a file is shorter than announced");
    }
    return absl::OkStatus();
  }

  Sink sink;
  struct ::archive* writer;
  std::int64_t missing = 0;  // bytes that the file begun last still lacks
  bool gone = false, failed = false;
};

ArchiveWriter::ArchiveWriter(Format format, Sink sink) : impl_(std::make_unique<Impl>(format, std::move(sink))) {}
ArchiveWriter::~ArchiveWriter() = default;

absl::Status ArchiveWriter::Begin(const std::string& path, std::int64_t size, Mode mode) {
  if (impl_->failed || impl_->gone) return impl_->Fail();
  PEPEUNIT_RETURN_IF_ERROR(impl_->CloseEntry());
  const Utf8Locale utf8;
  struct ::archive_entry* entry = ::archive_entry_new();
  if (entry == nullptr) return impl_->Fail();
  ::archive_entry_set_pathname(entry, path.c_str());
  ::archive_entry_set_size(entry, size);
  ::archive_entry_set_filetype(entry, AE_IFREG);
  ::archive_entry_set_perm(entry, static_cast<mode_t>(mode));
  // No time is set: a ZIP then says 1980-01-01 00:00, whatever the zone, and a tar 1970.
  const int result = ::archive_write_header(impl_->writer, entry);
  ::archive_entry_free(entry);
  if (result != ARCHIVE_OK || impl_->gone) return impl_->Fail();
  impl_->missing = size;
  return absl::OkStatus();
}

absl::Status ArchiveWriter::Write(std::string_view data) {
  if (impl_->failed || impl_->gone) return impl_->Fail();
  if (static_cast<std::int64_t>(data.size()) > impl_->missing) {
    impl_->failed = true;
    return absl::DataLossError("a file is longer than announced");
  }
  while (!data.empty()) {
    const la_ssize_t written = ::archive_write_data(impl_->writer, data.data(), data.size());
    if (written <= 0 || impl_->gone) return impl_->Fail();
    impl_->missing -= written;
    data.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status ArchiveWriter::Finish() {
  if (impl_->failed || impl_->gone) return impl_->Fail();
  PEPEUNIT_RETURN_IF_ERROR(impl_->CloseEntry());
  const Utf8Locale utf8;
  return ::archive_write_close(impl_->writer) == ARCHIVE_OK && !impl_->gone ? absl::OkStatus() : impl_->Fail();
}

}  // namespace pepeunit::archive
