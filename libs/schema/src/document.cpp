#include "document.h"

#include <algorithm>
#include <set>
#include <utility>

namespace pepeunit::schema {
namespace {

constexpr std::size_t kMaxDepth = 16;

unsigned LineAt(std::string_view text, std::size_t offset) {
  return 1 + static_cast<unsigned>(std::count(
                 text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size())), '\n'));
}

// Counts how far the parser has read, for nlohmann's events do not say where they are.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  std::size_t* read;

  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    ++at;
    ++*read;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at == other.at; }
  bool operator!=(const CountingIterator& other) const { return at != other.at; }
};

// Walks the text once before a document is built: syntax, depth, keys twice, and the line of each key.
class Scan : public nlohmann::json_sax<nlohmann::ordered_json> {
 public:
  Scan(std::string_view text, std::size_t* read, const std::string& file, Document* out)
      : text_(text), read_(read), file_(file), out_(out) {}

  bool null() override { return Value(); }
  bool boolean(bool) override { return Value(); }
  bool number_integer(number_integer_t) override { return Value(); }
  bool number_unsigned(number_unsigned_t) override { return Value(); }
  bool number_float(number_float_t, const string_t&) override { return Value(); }
  bool string(string_t&) override { return Value(); }
  bool binary(binary_t&) override { return Value(); }
  bool start_object(std::size_t) override { return Enter(true); }
  bool start_array(std::size_t) override { return Enter(false); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& name) override {
    Level& level = levels_.back();
    level.key = name;
    const unsigned line = LineAt(text_, *read_);
    if (!level.keys.insert(name).second) return Fail(line, Path(), "the key stands here for the second time");
    out_->lines.emplace(Path(), line);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    // The part after the position: "syntax error while parsing value - unexpected ..."
    std::string what = e.what();
    if (const auto at = what.find("syntax error"); at != std::string::npos) what = what.substr(at);
    // nlohmann quotes what it read last; bytes that are not printable ASCII do not help anyone.
    what.erase(std::remove_if(what.begin(), what.end(), [](unsigned char c) { return c < 0x20 || c > 0x7E; }),
               what.end());
    return Fail(LineAt(text_, position == 0 ? 0 : position - 1), "", "this is not JSON: " + what.substr(0, 300));
  }

 private:
  struct Level {
    bool object;
    std::size_t index = 0;
    std::string key;
    std::set<std::string> keys;
  };

  std::string Path() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.object)
        path += (path.empty() ? "" : ".") + level.key;
      else
        path += '[' + std::to_string(level.index) + ']';
    }
    return path;
  }
  bool Value() {
    if (!levels_.empty() && !levels_.back().object) {
      out_->lines.emplace(Path(), LineAt(text_, *read_));
      ++levels_.back().index;
    }
    return true;
  }
  bool Enter(bool object) {
    if (!levels_.empty() && !levels_.back().object) out_->lines.emplace(Path(), LineAt(text_, *read_));
    if (levels_.size() >= kMaxDepth) {
      return Fail(LineAt(text_, *read_), Path(), "nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
    levels_.push_back({object, 0, {}, {}});
    return true;
  }
  bool Leave() {
    levels_.pop_back();
    if (!levels_.empty() && !levels_.back().object) ++levels_.back().index;
    return true;
  }
  bool Fail(unsigned line, const std::string& field, const std::string& message) {
    out_->problems.push_back({file_, line, field, message, false});
    return false;
  }

  std::string_view text_;
  std::size_t* read_;
  const std::string& file_;
  Document* out_;
  std::vector<Level> levels_;
};

}  // namespace

unsigned Document::LineOf(const std::string& field) const {
  // The closest key above that has a line: a missing `x.type` is told at `x`.
  std::string path = field;
  while (true) {
    if (const auto found = lines.find(path); found != lines.end()) return found->second;
    const auto cut = path.find_last_of(".[");
    if (cut == std::string::npos) return path.empty() ? 0 : 1;
    path.resize(cut);
  }
}

Document ReadDocument(const std::string& file, std::string_view text, std::size_t max_bytes) {
  Document document;
  if (text.size() > max_bytes) {
    document.problems.push_back({file, 0, "", "larger than " + std::to_string(max_bytes) + " bytes", false});
    return document;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::size_t read = 0;
  Scan scan(text, &read, file, &document);
  const CountingIterator begin{text.data(), &read}, end{text.data() + text.size(), &read};
  if (!nlohmann::ordered_json::sax_parse(begin, end, &scan)) return document;
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) {
    document.problems.push_back({file, 1, "", "the file must hold a JSON object, { ... }", false});
    return document;
  }
  document.json = std::move(json);
  return document;
}

}  // namespace pepeunit::schema
