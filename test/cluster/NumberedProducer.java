import java.util.Properties;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Kafka's Java producer as a numbering writer, the same as `number` of bench/librdkafka-driver.c:
 *
 *   NumberedProducer BOOTSTRAP TOPIC PARTITIONS NAME RATE QUEUE [name=value ...]
 *
 * Promises: produces records NAME:PARTITION:NUMBER, numbers from 0 in each partition, RATE a second and at most QUEUE of them unacknowledged, until its
 * standard input ends; prints "PARTITION NUMBER OFFSET" for each acknowledged one and "end ATTEMPTED" when all are. A failed delivery ends it with status 1.
 * It never gives a record up by time: whoever gave it up would not know whether it was written.
 */
public class NumberedProducer {
  public static void main(String[] args) throws Exception {
    String topic = args[1], name = args[3];
    int partitions = Integer.parseInt(args[2]), queue = Integer.parseInt(args[5]);
    double rate = Double.parseDouble(args[4]);
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[0]);
    properties.put("client.id", name);
    properties.put("acks", "all");
    properties.put("enable.idempotence", "true");
    properties.put("delivery.timeout.ms", String.valueOf(Integer.MAX_VALUE));
    properties.put("max.block.ms", String.valueOf(Integer.MAX_VALUE));
    properties.put("linger.ms", "1");
    for (int i = 6; i < args.length; i++) {
      int at = args[i].indexOf('=');
      properties.put(args[i].substring(0, at), args[i].substring(at + 1));
    }
    AtomicBoolean ended = new AtomicBoolean();
    Thread input = new Thread(() -> {
      try {
        while (System.in.read() >= 0) { }
      } catch (java.io.IOException e) {
        // the end all the same
      }
      ended.set(true);
    });
    input.setDaemon(true);
    input.start();
    Semaphore room = new Semaphore(queue);
    long attempted = 0, begin = System.nanoTime();
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      while (!ended.get()) {
        while (attempted < (System.nanoTime() - begin) / 1e9 * rate && room.tryAcquire()) {
          int partition = (int) (attempted % partitions);
          long number = attempted / partitions;
          attempted++;
          producer.send(new ProducerRecord<>(topic, partition, null, name + ":" + partition + ":" + number), (metadata, error) -> {
            if (error != null) {
              System.err.println("NumberedProducer: delivery of " + partition + ":" + number + ": " + error);
              Runtime.getRuntime().halt(1);
            }
            System.out.println(partition + " " + number + " " + (metadata.hasOffset() ? metadata.offset() : -1));
            room.release();
          });
        }
        Thread.sleep(1);
      }
      producer.flush();
    }
    System.out.println("end " + attempted);
    System.out.flush();
  }
}
