/* Publishes messages that lie ready, with librabbitmq, and says what that took.
 *
 * librabbitmq FILE EXCHANGE APP_ID COUNT WINDOW PIECE, and the broker's URL in AMQP_URL.
 *
 * FILE holds COUNT messages, each, in this machine's byte order:
 *   8 bytes  timestamp
 *   4 bytes  number of headers
 *   then texts, each of 4 bytes of length and so many more: message id, content type, type,
 *   a name and a value for each header, the body
 *
 * No more than WINDOW messages are unconfirmed; a full window is given room for PIECE of them.
 * Prints one line of JSON; on any failure, a sentence to standard error, and exits with 1.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#if defined(__has_include) && __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_tcp_socket.h>
#endif

enum { CHANNEL = 1, FRAME_MAX = 131072, MOST_HEADERS = 16, PATIENCE_SECONDS = 30 };

static amqp_connection_state_t connection;
static uint64_t sent, confirmed;
static unsigned char *confirmed_singly;

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

static void check(int status, const char *doing) {
  if (status != AMQP_STATUS_OK) fail("%s: %s", doing, amqp_error_string2(status));
}

static void check_reply(amqp_rpc_reply_t reply, const char *doing) {
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) check(reply.library_error, doing);
  if (reply.reply_type != AMQP_RESPONSE_NORMAL) fail("%s: the broker refused.", doing);
}

static void *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END)) fail("The messages in %s cannot be read.", path);
  long size = ftell(file);
  rewind(file);
  char *data = malloc(size + 1);
  if (!data || fread(data, 1, size, file) != (size_t)size) fail("%s was not read whole.", path);
  fclose(file);
  return data;
}

static void open_channel(char *url) {
  struct amqp_connection_info to;
  check(amqp_parse_url(url, &to), "reading AMQP_URL");
  connection = amqp_new_connection();
  amqp_socket_t *socket = amqp_tcp_socket_new(connection);
  if (!socket) fail("There is no memory for a socket.");
  check(amqp_socket_open(socket, to.host, to.port), "connecting");
  check_reply(amqp_login(connection, to.vhost, 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, to.user,
                         to.password),
              "logging in");
  amqp_channel_open(connection, CHANNEL);
  check_reply(amqp_get_rpc_reply(connection), "opening a channel");
  amqp_confirm_select(connection, CHANNEL);
  check_reply(amqp_get_rpc_reply(connection), "confirm.select");
}

static const char *take(const char *at, void *value, size_t size) {
  memcpy(value, at, size);
  return at + size;
}

static const char *take_text(const char *at, amqp_bytes_t *text) {
  uint32_t length;
  at = take(at, &length, sizeof length);
  text->len = length;
  text->bytes = (void *)at;
  return at + length;
}

static const char *publish(const char *at, amqp_bytes_t exchange, amqp_bytes_t app_id) {
  amqp_table_entry_t headers[MOST_HEADERS];
  amqp_basic_properties_t properties = {
      ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG |
                AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG |
                AMQP_BASIC_TIMESTAMP_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG,
      .delivery_mode = AMQP_DELIVERY_PERSISTENT,
      .app_id = app_id,
  };
  amqp_bytes_t body;
  uint32_t count;
  at = take(at, &properties.timestamp, sizeof properties.timestamp);
  at = take(at, &count, sizeof count);
  if (count > MOST_HEADERS) fail("A message has more than %d headers.", MOST_HEADERS);
  at = take_text(at, &properties.message_id);
  at = take_text(at, &properties.content_type);
  at = take_text(at, &properties.type);
  for (uint32_t i = 0; i < count; i++) {
    at = take_text(at, &headers[i].key);
    headers[i].value.kind = AMQP_FIELD_KIND_UTF8;
    at = take_text(at, &headers[i].value.value.bytes);
  }
  properties.headers.num_entries = count;
  properties.headers.entries = headers;
  at = take_text(at, &body);
  check(amqp_basic_publish(connection, CHANNEL, exchange, amqp_empty_bytes, 1, 0, &properties,
                           body),
        "publishing");
  sent++;
  return at;
}

static void note_ack(const amqp_basic_ack_t *ack) {
  if (ack->delivery_tag > sent) fail("The broker confirmed what was not sent.");
  if (!ack->multiple) confirmed_singly[ack->delivery_tag] = 1;
  else if (ack->delivery_tag > confirmed) confirmed = ack->delivery_tag;
  while (confirmed < sent && confirmed_singly[confirmed + 1]) confirmed++;
}

static void note(const amqp_frame_t *frame) {
  if (frame->frame_type != AMQP_FRAME_METHOD) fail("The broker sent a frame of no use.");
  switch (frame->payload.method.id) {
    case AMQP_BASIC_ACK_METHOD:
      note_ack(frame->payload.method.decoded);
      break;
    case AMQP_BASIC_NACK_METHOD:
      fail("The broker did not accept a message (basic.nack).");
      break;
    case AMQP_BASIC_RETURN_METHOD:
      fail("The broker found no queue for a message (basic.return).");
      break;
    default:
      fail("The broker sent %s.", amqp_method_name(frame->payload.method.id));
  }
}

/* Hear the broker's confirms: those that are there, and before them wait for one if told to. */
static void hear(int waiting) {
  for (;; waiting = 0) {
    struct timeval patience = {waiting ? PATIENCE_SECONDS : 0, 0};
    amqp_frame_t frame;
    int status = amqp_simple_wait_frame_noblock(connection, &frame, &patience);
    if (status == AMQP_STATUS_TIMEOUT && !waiting) return;
    check(status, "waiting for confirms");
    note(&frame);
    amqp_maybe_release_buffers(connection);
  }
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return used.ru_utime.tv_sec + used.ru_stime.tv_sec +
         (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static long peak_bytes(void) {
  /* Not ru_maxrss: on Linux a new process begins with that of the one that started it. */
  FILE *status = fopen("/proc/self/status", "r");
  char line[256];
  long peak;
  while (status && fgets(line, sizeof line, status))
    if (sscanf(line, "VmHWM: %ld kB", &peak) == 1) return peak * 1024;
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
#ifdef __APPLE__
  return used.ru_maxrss;
#else
  return used.ru_maxrss * 1024;
#endif
}

int main(int argc, char **argv) {
  char *url = getenv("AMQP_URL");
  if (argc != 7 || !url) fail("Call it as its first lines say.");
  const char *at = read_file(argv[1]);
  amqp_bytes_t exchange = amqp_cstring_bytes(argv[2]), app_id = amqp_cstring_bytes(argv[3]);
  uint64_t count = strtoull(argv[4], NULL, 10), window = strtoull(argv[5], NULL, 10);
  uint64_t piece = strtoull(argv[6], NULL, 10);
  if (!piece || piece > window) fail("PIECE is from 1 to WINDOW.");
  confirmed_singly = calloc(count + 2, 1);
  if (!confirmed_singly) fail("There is no memory for %llu confirms.", (unsigned long long)count);
  open_channel(url);

  double began = seconds(), cpu = cpu_seconds();
  while (sent < count) {
    if (sent - confirmed >= window)
      while (sent - confirmed > window - piece) hear(1);
    at = publish(at, exchange, app_id);
    if (sent % piece == 0) hear(0);
  }
  while (confirmed < count) hear(1);
  double took = seconds() - began;
  double used = cpu_seconds() - cpu;

  printf("{\"events\": %llu, \"seconds\": %.9f, \"cpu_seconds\": %.9f, \"peak_bytes\": %ld}\n",
         (unsigned long long)confirmed, took, used, peak_bytes());
  return 0;
}
