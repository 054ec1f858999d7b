#include "pepeunit/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>

#include "pepeunit/base/clock.h"
#include "pepeunit/base/trace.h"

namespace pepeunit::log {
namespace {

std::string service_name = "pepeunit";

spdlog::logger& Logger() {
  static const std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("pepeunit", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

const char* LevelName(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "error";
}

// Bytes that are not ASCII pass as they are; a log reader that insists on UTF-8 replaces broken ones itself.
void AppendQuoted(std::string* out, std::string_view text) {
  *out += '"';
  for (char c : text) {
    switch (c) {
      case '"':
        *out += "\\\"";
        break;
      case '\\':
        *out += "\\\\";
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char escape[8];
          std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
          *out += escape;
        } else {
          *out += c;
        }
    }
  }
  *out += '"';
}

}  // namespace

bool Init(std::string_view service, std::string_view level) {
  service_name = service;
  if (level == "debug")
    Logger().set_level(spdlog::level::debug);
  else if (level == "info")
    Logger().set_level(spdlog::level::info);
  else if (level == "warning")
    Logger().set_level(spdlog::level::warn);
  else if (level == "error")
    Logger().set_level(spdlog::level::err);
  else
    return false;
  return true;
}

void Write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  std::string line = "{\"time\":\"" + FormatTime(NowMs()) + "\",\"level\":\"" + LevelName(level) + "\",\"service\":";
  AppendQuoted(&line, service_name);
  line += ",\"message\":";
  AppendQuoted(&line, message);
  if (const TraceContext& trace = CurrentTrace(); trace.valid()) line += ",\"trace_id\":\"" + trace.TraceIdHex() + '"';
  for (const Field& field : fields) {
    line += ',';
    AppendQuoted(&line, field.key);
    line += ':';
    if (field.quoted)
      AppendQuoted(&line, field.value);
    else
      line += field.value;
  }
  line += '}';
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace pepeunit::log
