package org.parallelcomp.engine.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.InferenceException;

/**
 * A damaged file either opens (the damage was harmless) or is refused with the one exception, and
 * never costs more memory than its size and a constant.
 */
class DamagedFilesTest {
  private static final long CONSTANT_BYTES = 2 << 20;
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  @TempDir Path folder;
  private final GgufWriter writer = GgufWriter.tinyModel();
  private byte[] gguf;

  @BeforeEach
  void writeSound() throws IOException {
    gguf = writer.bytes();
    // Classes and tables are paid for once, not by the first damaged file.
    assertNotNull(ModelFiles.open(Files.write(folder.resolve("sound.gguf"), gguf)));
    assertEquals(1, ModelFiles.open(safetensorsFolder(null)).config().layers());
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    for (int length = 0; length < gguf.length; length += length < writer.headerBytes() ? 1 : 32) {
      String refused = open(Arrays.copyOf(gguf, length), "cut to " + length);
      assertNotNull(refused, "cut to " + length + " bytes it should not open");
    }
  }

  @Test
  void everyHeaderFieldMayHoldAnything() throws IOException {
    for (int offset : writer.fieldOffsets) {
      for (long value :
          new long[] {
            0,
            1,
            -1,
            Long.MAX_VALUE,
            Long.MIN_VALUE,
            Integer.MAX_VALUE,
            1L << 31,
            1L << 32,
            1L << 40,
            gguf.length,
            9
          }) {
        for (int bytes : new int[] {1, 4, 8}) {
          byte[] damaged = gguf.clone();
          ByteBuffer field = ByteBuffer.wrap(damaged).order(ByteOrder.LITTLE_ENDIAN);
          for (int i = 0; i < bytes && offset + i < damaged.length; i++) {
            field.put(offset + i, (byte) (value >> 8 * i));
          }
          open(damaged, value + " in " + bytes + " bytes at " + offset);
        }
      }
      for (int bit = 0; bit < 8; bit++) {
        byte[] damaged = gguf.clone();
        damaged[offset] ^= (byte) (1 << bit);
        open(damaged, "bit " + bit + " flipped at " + offset);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void randomBytesMayBeFlipped(long seed) throws IOException {
    var random = new Random(seed);
    for (int i = 0; i < 1500; i++) {
      byte[] damaged = gguf.clone();
      for (int flips = 1 + random.nextInt(8); flips > 0; flips--) {
        damaged[random.nextInt(writer.headerBytes())] ^= (byte) (1 + random.nextInt(255));
      }
      open(damaged, "seed " + seed + ", file " + i);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {4, 5})
  void safetensorsMayBeDamaged(long seed) throws IOException {
    byte[] sound = Files.readAllBytes(safetensorsFolder(null).resolve("model.safetensors"));
    int header = 8 + (int) ByteBuffer.wrap(sound).order(ByteOrder.LITTLE_ENDIAN).getLong();
    for (int length = 0; length < header; length += 3) {
      assertNotNull(
          openFolder(Arrays.copyOf(sound, length), "cut to " + length), "cut to " + length);
    }
    var random = new Random(seed);
    for (int i = 0; i < 1000; i++) {
      byte[] damaged = sound.clone();
      for (int flips = 1 + random.nextInt(4); flips > 0; flips--) {
        damaged[random.nextInt(header)] ^= (byte) (1 + random.nextInt(255));
      }
      openFolder(damaged, "seed " + seed + ", file " + i);
    }
    for (int i = 0; i < 8; i++) {
      for (int value : new int[] {0, 1, 127, 128, 255}) {
        byte[] damaged = sound.clone();
        damaged[i] = (byte) value;
        openFolder(damaged, "byte " + i + " = " + value);
      }
    }
  }

  private String open(byte[] bytes, String damage) throws IOException {
    Path path = Files.write(folder.resolve("damaged.gguf"), bytes);
    return refusal(path, bytes.length, damage);
  }

  private String openFolder(byte[] bytes, String damage) throws IOException {
    return refusal(safetensorsFolder(bytes), bytes.length, damage);
  }

  /** Opens; returns the message of the refusal, or null if it opened. */
  private static String refusal(Path path, long fileBytes, String damage) {
    long before = THREADS.getCurrentThreadAllocatedBytes();
    String message = null;
    try {
      ModelFiles.open(path);
    } catch (InferenceException e) {
      message = e.getMessage();
      assertTrue(message.length() < 2000 && message.endsWith("."), damage + ": " + message);
    } catch (Throwable e) {
      fail(damage + " gave " + e, e);
    }
    long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
    assertTrue(allocated < fileBytes + CONSTANT_BYTES, damage + " allocated " + allocated);
    return message;
  }

  private Path safetensorsFolder(byte[] weights) throws IOException {
    return TinySafetensors.write(folder.resolve("hf"), weights);
  }
}
