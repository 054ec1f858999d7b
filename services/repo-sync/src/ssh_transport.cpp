#include "ssh_transport.h"

#include <git2/sys/transport.h>
#include <libssh/libssh.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "git.h"

namespace pepeunit::repo_sync {
namespace {

constexpr long kAnswerTimeoutS = 10;  // of each step until the channel is open
constexpr std::size_t kMostSaid = 300;
constexpr std::uint32_t kMostAtOnce = 32u << 10;  // a packet of SSH

// A server has a host key of each kind that it knows. The first kinds are the ones that are trusted on first use; the
// one that is pinned may be of any.
constexpr const char* kHostKeys[] = {
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256", "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521", "rsa-sha2-512,rsa-sha2-256"};

using Session = git::Owner<ssh_session_struct, ssh_free>;
using Channel = git::Owner<ssh_channel_struct, ssh_channel_free>;
using Key = git::Owner<ssh_key_struct, ssh_key_free>;

SshRemote* g_remote = nullptr;
ConnectionGuard* g_ssh_guard = nullptr;

// What a server says, in one line of printable ASCII.
std::string Said(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kMostSaid)) out += c >= 0x20 && c < 0x7F ? c : ' ';
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

int RefuseWith(ssh_session session, const std::string& what) {
  return g_ssh_guard->Refuse(what + ": " + Said(ssh_get_error(session)) + ".");
}

std::string HostKeyOf(ssh_session session) {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session, &raw) != SSH_OK) return "";
  const Key key(raw);
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key.get(), SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0) return "";
  char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
  std::string fingerprint = text == nullptr ? "" : text;
  ssh_string_free_char(text);
  ssh_clean_pubkey_hash(&hash);
  return fingerprint;
}

// A session whose keys are exchanged, with nobody signed in; null: see the guard's problem.
Session Greet(const char* host_keys, std::string* fingerprint) {
  const auto& address = g_remote->address;
  int fd = g_ssh_guard->Connect(address.host, address.port);
  if (fd < 0) return nullptr;
  Session session(ssh_new());
  const bool no_config = false;
  const auto set = [&](ssh_options_e option, const void* value) {
    return ssh_options_set(session.get(), option, value) == SSH_OK;
  };
  // The session closes the socket once it has it.
  const bool ready = session && set(SSH_OPTIONS_PROCESS_CONFIG, &no_config) &&
                     set(SSH_OPTIONS_KNOWNHOSTS, "/dev/null") && set(SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null") &&
                     set(SSH_OPTIONS_TIMEOUT, &kAnswerTimeoutS) && set(SSH_OPTIONS_USER, address.user.c_str()) &&
                     set(SSH_OPTIONS_HOSTKEYS, host_keys) && set(SSH_OPTIONS_FD, &fd);
  if (!ready) {
    g_ssh_guard->Refuse("The connection with " + address.host + " could not be set up.");
    return nullptr;
  }
  if (ssh_connect(session.get()) != SSH_OK) {
    RefuseWith(session.get(), "There is no SSH server at " + address.host + " that answers as it should");
    return nullptr;
  }
  *fingerprint = HostKeyOf(session.get());
  return session;
}

// As above, with the host that is expected; before anything secret is sent.
Session GreetPinned() {
  std::string first;  // what it shows when it may choose
  for (const char* kinds : kHostKeys) {
    std::string shown;
    Session session = Greet(kinds, &shown);
    if (!session && first.empty()) return nullptr;  // later: the server has no key of this kind
    if (!session) continue;
    if (first.empty()) first = shown;
    g_remote->host_key = first;
    if (!shown.empty() && (g_remote->pinned.empty() || shown == g_remote->pinned)) {
      g_remote->host_key = shown;
      return session;
    }
  }
  g_ssh_guard->Refuse(
      "The host key of " + g_remote->address.host + " is another one than expected: it is " + first + ", and " +
      g_remote->pinned +
      " is pinned. Either the server got a new key, or somebody stands between. If its operator confirms "
      "the new one, set it as `ssh_host_key`.");
  return nullptr;
}

// People paste keys with the line ends of their system.
std::string Normal(std::string pem) {
  std::erase(pem, '\r');
  return pem.ends_with('\n') ? pem : pem + '\n';
}

Key ReadPrivateKey() {
  std::string pem = Normal(g_remote->private_key);
  ssh_key raw = nullptr;
  // Never null as passphrase: OpenSSL would ask for one at the terminal.
  const int code = ssh_pki_import_privkey_base64(pem.c_str(), g_remote->passphrase.c_str(), nullptr, nullptr, &raw);
  ::explicit_bzero(pem.data(), pem.size());
  return Key(code == SSH_OK ? raw : nullptr);
}

int SignIn(ssh_session session, ssh_key key) {
  const std::string user = g_remote->address.user;
  const char* what = key == nullptr ? "password" : "key";
  const int code = key == nullptr ? ssh_userauth_password(session, nullptr, g_remote->password.c_str())
                                  : ssh_userauth_publickey(session, nullptr, key);
  switch (code) {
    case SSH_AUTH_SUCCESS:
      return 0;
    case SSH_AUTH_DENIED:
      return g_ssh_guard->Refuse("The remote refused the " + std::string(what) + " for the user " + user + ".");
    case SSH_AUTH_PARTIAL:
      return g_ssh_guard->Refuse("The remote wants more than the " + std::string(what) + " of the user " + user +
                                 ", which a sync cannot give.");
    default:
      return RefuseWith(session, "Signing in at the remote did not end");
  }
}

// One word of the remote's shell.
std::string Quote(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + '\'';
}

struct SshTransport;

// The conversation with git-upload-pack.
struct SshStream {
  git_smart_subtransport_stream base{};  // first, for libgit2 hands its address back
  SshTransport* owner = nullptr;
  Session session;
  Channel channel;  // goes before its session
  bool heard = false;
};

struct SshTransport {
  git_smart_subtransport base{};  // first, as above
  SshStream* stream = nullptr;    // libgit2 frees it
};

SshStream* Of(git_smart_subtransport_stream* base) { return reinterpret_cast<SshStream*>(base); }
SshTransport* Of(git_smart_subtransport* base) { return reinterpret_cast<SshTransport*>(base); }

int BrokeOff() { return g_ssh_guard->Refuse("The connection with " + g_remote->address.host + " broke off."); }

// The server's git ended before it should.
int Ended(const SshStream& stream) {
  char text[kMostSaid];
  const int got = ssh_channel_read_nonblocking(stream.channel.get(), text, sizeof text, 1);
  const std::string said = got > 0 ? Said({text, static_cast<std::size_t>(got)}) : "";
  if (stream.heard) return BrokeOff();
  return g_ssh_guard->Refuse("There is no git repository at this address, or " + g_remote->address.user +
                             " may not read it." + (said.empty() ? "" : " The remote says: " + said));
}

// Waits as long as it takes: the parent's deadline ends the process.
int ReadSsh(git_smart_subtransport_stream* base, char* buffer, std::size_t size, std::size_t* got) {
  SshStream* stream = Of(base);
  const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(size, kMostAtOnce));
  const int code = ssh_channel_read(stream->channel.get(), buffer, most, 0);
  if (code == 0) return Ended(*stream);
  if (code < 0) return BrokeOff();
  if (!g_ssh_guard->Receive(code)) return -1;
  stream->heard = true;
  *got = static_cast<std::size_t>(code);
  return 0;
}

int WriteSsh(git_smart_subtransport_stream* base, const char* buffer, std::size_t size) {
  for (std::size_t sent = 0; sent < size;) {
    const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(size - sent, kMostAtOnce));
    const int code = ssh_channel_write(Of(base)->channel.get(), buffer + sent, most);
    if (code <= 0) return BrokeOff();
    sent += static_cast<std::size_t>(code);
  }
  return 0;
}

void FreeStream(git_smart_subtransport_stream* base) {
  Of(base)->owner->stream = nullptr;
  delete Of(base);
}

int Open(SshStream* stream) {
  Key key;
  if (!g_remote->private_key.empty()) {
    key = ReadPrivateKey();
    if (!key) {
      return g_ssh_guard->Refuse(
          "The private key cannot be read: its passphrase is missing or wrong, or it is of a kind that is not known.");
    }
  }
  stream->session = GreetPinned();
  if (!stream->session) return -1;
  const ssh_session session = stream->session.get();
  if (const int code = SignIn(session, key.get()); code != 0) return code;
  stream->channel.reset(ssh_channel_new(session));
  const ssh_channel channel = stream->channel.get();
  if (channel == nullptr || ssh_channel_open_session(channel) != SSH_OK ||
      ssh_channel_request_exec(channel, ("git-upload-pack " + Quote(g_remote->address.path)).c_str()) != SSH_OK)
    return RefuseWith(session, "The remote does not let git run");
  return 0;
}

int Act(git_smart_subtransport_stream** out, git_smart_subtransport* base, const char*, git_smart_service_t action) {
  SshTransport* transport = Of(base);
  if (action == GIT_SERVICE_UPLOADPACK && transport->stream != nullptr) {  // goes on in the same conversation
    *out = &transport->stream->base;
    return 0;
  }
  if (action != GIT_SERVICE_UPLOADPACK_LS) return g_ssh_guard->Refuse("Only reading is possible.");
  auto stream = std::make_unique<SshStream>();
  stream->base.subtransport = base;
  stream->base.read = ReadSsh;
  stream->base.write = WriteSsh;
  stream->base.free = FreeStream;
  stream->owner = transport;
  if (const int code = Open(stream.get()); code != 0) return code;
  transport->stream = stream.release();
  *out = &transport->stream->base;
  return 0;
}

int MakeSubtransport(git_smart_subtransport** out, git_transport*, void*) {
  auto* transport = new SshTransport;
  transport->base.action = Act;
  transport->base.close = [](git_smart_subtransport*) { return 0; };
  transport->base.free = [](git_smart_subtransport* base) { delete Of(base); };
  *out = &transport->base;
  return 0;
}

int MakeTransport(git_transport** out, git_remote* remote, void*) {
  git_smart_subtransport_definition definition{};
  definition.callback = MakeSubtransport;
  definition.rpc = 0;
  return git_transport_smart(out, remote, &definition);
}

}  // namespace

void InstallSsh(SshRemote* remote, ConnectionGuard* guard) {
  g_remote = remote;
  g_ssh_guard = guard;
  // For `user@host:path` too.
  git_transport_register("ssh", MakeTransport, nullptr);
}

}  // namespace pepeunit::repo_sync
