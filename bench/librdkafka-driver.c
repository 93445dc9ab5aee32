/* One load, made by librdkafka, reported as one line of JSON on standard output.
 *
 *   driver produce BOOTSTRAP TOPIC PARTITIONS COUNT BYTES RATE [name=value ...]
 *   driver consume BOOTSTRAP TOPIC PARTITIONS COUNT begin|end  [name=value ...]
 *   driver number  BOOTSTRAP TOPIC PARTITIONS NAME RATE        [name=value ...]
 *
 * Promises: produce ends when every record has its delivery report, consume when COUNT records have come; a failed record or 60 s without
 * progress is an error and exit status 1. Latency is measured per record: produce() to delivery report for producing; for consuming from
 * `end`, the time stamp that `produce` wrote into the first eight bytes of the value to the arrival of the record (both processes read the
 * same monotonic clock). `consume ... end` prints "ready" once every partition is at its end, so that a producer can be started then.
 * `number` produces records `NAME:PARTITION:NUMBER`, numbers from 0 in each partition, until its standard input ends; it prints
 * "PARTITION NUMBER OFFSET" for each acknowledged one and "end ATTEMPTED" when all are; a failed delivery ends it with status 1.
 * RATE is records a second, 0 as fast as possible. name=value are librdkafka's own properties.
 * Does not: verify order or contents (the crash test does), nor commit offsets. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <librdkafka/rdkafka.h>

#define STALL_NS 60000000000ll

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what, const char *why) {
  fprintf(stderr, "driver: %s: %s\n", what, why);
  exit(1);
}

static uint32_t *latency_us;
static int64_t done, failed, progress_ns;
static const char *first_error;

static void note(int64_t sent_ns, int64_t at_ns) {
  int64_t us = (at_ns - sent_ns) / 1000;
  latency_us[done] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int ascending(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static double ms_at(double share) { return done ? latency_us[(int64_t)(share * (done - 1))] / 1000.0 : 0; }

static void report(int64_t bytes, double seconds, int latencies) {
  printf("{\"records\":%lld,\"bytes\":%lld,\"seconds\":%.6f", (long long)done, (long long)bytes, seconds);
  if (latencies) {
    qsort(latency_us, done, sizeof *latency_us, ascending);
    printf(",\"p50Ms\":%.3f,\"p99Ms\":%.3f,\"maxMs\":%.3f", ms_at(0.5), ms_at(0.99), ms_at(1));
  }
  printf("}\n");
  fflush(stdout);
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
  (void)rk, (void)opaque;
  int64_t at = progress_ns = now_ns();
  if (message->err) {
    failed++;
    first_error = rd_kafka_err2str(message->err);
    return;
  }
  int64_t sent;
  memcpy(&sent, message->payload, 8);
  note(sent, at);
  done++;
}

static rd_kafka_conf_t *configuration(const char *bootstrap, char **properties, int count) {
  char why[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why) != RD_KAFKA_CONF_OK) fail("bootstrap.servers", why);
  for (int i = 0; i < count; i++) {
    char *value = strchr(properties[i], '=');
    if (!value) fail(properties[i], "not name=value");
    *value++ = 0;
    if (rd_kafka_conf_set(conf, properties[i], value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(properties[i], why);
  }
  return conf;
}

static void produce(const char *bootstrap, const char *topic, int partitions, int64_t count, size_t bytes, double rate, char **properties, int n) {
  char why[512];
  if (bytes < 8) fail("BYTES", "at least 8");
  rd_kafka_conf_t *conf = configuration(bootstrap, properties, n);
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!rk) fail("producer", why);
  rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
  char *value = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) value[i] = (char)(i * 131 + 7);
  int64_t begin = progress_ns = now_ns();
  for (int64_t i = 0; i < count && !failed; i++) {
    int64_t at = now_ns();
    while (rate > 0 && at - begin < (int64_t)(i / rate * 1e9)) {
      rd_kafka_poll(rk, 1);
      at = now_ns();
    }
    memcpy(value, &at, 8);
    while (rd_kafka_produce(rkt, (int32_t)(i % partitions), RD_KAFKA_MSG_F_COPY, value, bytes, NULL, 0, NULL) == -1) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
      if (now_ns() - progress_ns > STALL_NS) fail("produce", "no delivery report for 60 s");
      rd_kafka_poll(rk, 100);
      at = now_ns(); /* the time spent waiting for room in the client's own queue is the client's, not the broker's */
      memcpy(value, &at, 8);
    }
    if ((i & 1023) == 0) rd_kafka_poll(rk, 0);
  }
  while (done + failed < count && !failed) {
    rd_kafka_poll(rk, 100);
    if (now_ns() - progress_ns > STALL_NS) fail("produce", "no delivery report for 60 s");
  }
  if (failed) fail("delivery", first_error);
  report(done * (int64_t)bytes, (now_ns() - begin) / 1e9, 1);
  rd_kafka_topic_destroy(rkt);
  rd_kafka_destroy(rk);
}

static void consume(const char *bootstrap, const char *topic, int partitions, int64_t count, int from_end, char **properties, int n) {
  char why[512];
  rd_kafka_conf_t *conf = configuration(bootstrap, properties, n);
  rd_kafka_conf_set(conf, "group.id", "ottla-bench", NULL, 0);
  rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
  if (from_end) rd_kafka_conf_set(conf, "enable.partition.eof", "true", NULL, 0);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (!rk) fail("consumer", why);
  rd_kafka_poll_set_consumer(rk);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; i++) rd_kafka_topic_partition_list_add(list, topic, i)->offset = from_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
  int64_t begin = progress_ns = now_ns(), bytes = 0;
  rd_kafka_resp_err_t error = rd_kafka_assign(rk, list);
  if (error) fail("assign", rd_kafka_err2str(error));
  rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
  enum { BATCH = 10000 };
  static rd_kafka_message_t *messages[BATCH];
  int at_end = 0, ready = !from_end;
  while (done < count) {
    ssize_t got = rd_kafka_consume_batch_queue(queue, 50, messages, BATCH);
    int64_t at = now_ns();
    if (got > 0) progress_ns = at;
    if (at - progress_ns > STALL_NS) fail("consume", "no record for 60 s");
    for (ssize_t i = 0; i < got; i++) {
      rd_kafka_message_t *message = messages[i];
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (!ready && ++at_end == partitions) {
          ready = 1;
          begin = at;
          printf("ready\n");
          fflush(stdout);
        }
      } else if (message->err) {
        fail("consume", rd_kafka_message_errstr(message));
      } else if (done < count) {
        int64_t sent = at;
        if (from_end) memcpy(&sent, message->payload, 8);
        if (from_end && done == 0) begin = sent;
        note(sent, at);
        bytes += (int64_t)message->len;
        done++;
      }
      rd_kafka_message_destroy(message);
    }
  }
  report(bytes, (now_ns() - begin) / 1e9, from_end);
  _exit(0); /* leaving a half-read queue of a million records to the destructor would only cost time */
}

static void numbered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
  (void)rk, (void)opaque;
  if (message->err) fail("delivery", rd_kafka_err2str(message->err));
  printf("%d %lld %lld\n", message->partition, (long long)(intptr_t)message->_private, (long long)message->offset);
  done++;
}

static void broken(rd_kafka_t *rk, int error, const char *reason, void *opaque) {
  (void)opaque;
  if (error == RD_KAFKA_RESP_ERR__FATAL) {
    char why[512];
    rd_kafka_fatal_error(rk, why, sizeof why);
    fail("fatal", why);
  }
  if (getenv("DRIVER_DEBUG")) fprintf(stderr, "driver: %s: %s\n", rd_kafka_err2name(error), reason);
}

static void number(const char *bootstrap, const char *topic, int partitions, const char *name, double rate, char **properties, int n) {
  char why[512], value[256];
  rd_kafka_conf_t *conf = configuration(bootstrap, properties, n);
  rd_kafka_conf_set_dr_msg_cb(conf, numbered);
  rd_kafka_conf_set_error_cb(conf, broken);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!rk) fail("producer", why);
  rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
  struct pollfd input = {.fd = 0, .events = POLLIN};
  int64_t attempted = 0, begin = now_ns();
  setvbuf(stdout, NULL, _IOLBF, 0);
  char ignored[64];
  while (!(poll(&input, 1, 0) > 0 && read(0, ignored, sizeof ignored) <= 0)) {
    rd_kafka_poll(rk, 1);
    for (; attempted < (int64_t)((now_ns() - begin) / 1e9 * rate); attempted++) {
      int32_t partition = (int32_t)(attempted % partitions);
      int64_t next = attempted / partitions;
      int length = snprintf(value, sizeof value, "%s:%d:%lld", name, partition, (long long)next);
      if (rd_kafka_produce(rkt, partition, RD_KAFKA_MSG_F_COPY, value, (size_t)length, NULL, 0, (void *)(intptr_t)next) == -1) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail("produce", rd_kafka_err2str(rd_kafka_last_error()));
        break;
      }
    }
  }
  for (int64_t until = now_ns() + STALL_NS; done < attempted;) {
    rd_kafka_poll(rk, 100);
    if (now_ns() > until) fail("number", "records without delivery report 60 s after the end");
  }
  printf("end %lld\n", (long long)attempted);
  fflush(stdout);
  rd_kafka_topic_destroy(rkt);
  rd_kafka_destroy(rk);
}

int main(int argc, char **argv) {
  if (argc < 7) fail("usage", "see the head of librdkafka-driver.c");
  int producing = !strcmp(argv[1], "produce");
  if (!strcmp(argv[1], "number")) {
    number(argv[2], argv[3], atoi(argv[4]), argv[5], atof(argv[6]), argv + 7, argc - 7);
    return 0;
  }
  int64_t count = atoll(argv[5]);
  latency_us = malloc(sizeof *latency_us * (size_t)(count > 0 ? count : 1));
  if (producing && argc >= 8) produce(argv[2], argv[3], atoi(argv[4]), count, (size_t)atoll(argv[6]), atof(argv[7]), argv + 8, argc - 8);
  else if (!strcmp(argv[1], "consume")) consume(argv[2], argv[3], atoi(argv[4]), count, !strcmp(argv[6], "end"), argv + 7, argc - 7);
  else fail(argv[1], "produce, consume or number");
  return 0;
}
