package org.parallelcomp.backend.cuda;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Writes a GGUF file with the shape of Llama-3.1-8B, random BF16 weights and a token for every
 * byte, and a text of a given number of tokens, so that the command can be measured where there are
 * no models. All matrices are parts of the one largest, which leaves a file of 1 GB; a device loads
 * each of them, 16 GB in all. A program, not a test.
 *
 * <pre>
 * SyntheticModel model.gguf [window [layers]]
 * SyntheticModel text.txt tokens
 * </pre>
 */
public final class SyntheticModel {
  private static final int HIDDEN = 4096;
  private static final int FEED_FORWARD = 14336;
  private static final int QUERY_HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_DIM = 128;
  private static final int VOCAB = 128256;
  private static final int F32 = 0;
  private static final int BF16 = 30;
  private static final int METADATA = 17;

  private static final int BLOCK_NUMBERS = (8 << 20) + 4128;
  private static final long MATRICES_BYTES = 2L * HIDDEN * VOCAB;

  private final Random random = new Random(1);
  private final ByteBuffer header = ByteBuffer.allocate(64 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private final List<Runnable> tensors = new ArrayList<>();

  private SyntheticModel() {}

  /** Writes a model or a text. */
  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[0]);
    if (file.toString().endsWith(".txt")) {
      Files.writeString(file, text(Integer.parseInt(arguments[1])));
    } else {
      int window = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 8192;
      int layers = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 32;
      new SyntheticModel().write(file, window, layers);
    }
  }

  /** Words of four letters; every character is a token. */
  private static String text(int tokens) {
    var random = new Random(2);
    var text = new StringBuilder(tokens);
    while (text.length() < tokens) {
      int at = text.length() % 5;
      boolean ends = at == 4;
      text.append(ends ? ' ' : (char) ('a' + random.nextInt(26)));
    }
    text.setCharAt(tokens - 1, '.');
    return text.toString();
  }

  private void write(Path file, int window, int layers) throws IOException {
    matrix("token_embd.weight", VOCAB, HIDDEN);
    matrix("output.weight", VOCAB, HIDDEN);
    norm("output_norm.weight");
    for (int layer = 0; layer < layers; layer++) {
      String block = "blk." + layer + ".";
      norm(block + "attn_norm.weight");
      matrix(block + "attn_q.weight", QUERY_HEADS * HEAD_DIM, HIDDEN);
      matrix(block + "attn_k.weight", KV_HEADS * HEAD_DIM, HIDDEN);
      matrix(block + "attn_v.weight", KV_HEADS * HEAD_DIM, HIDDEN);
      matrix(block + "attn_output.weight", HIDDEN, QUERY_HEADS * HEAD_DIM);
      norm(block + "ffn_norm.weight");
      matrix(block + "ffn_gate.weight", FEED_FORWARD, HIDDEN);
      matrix(block + "ffn_up.weight", FEED_FORWARD, HIDDEN);
      matrix(block + "ffn_down.weight", HIDDEN, FEED_FORWARD);
    }
    header.putInt(0x46554747).putInt(3).putLong(tensors.size()).putLong(METADATA);
    text("general.architecture", "llama");
    text("general.name", "synthetic-8b");
    number("llama.block_count", layers);
    number("llama.embedding_length", HIDDEN);
    number("llama.feed_forward_length", FEED_FORWARD);
    number("llama.attention.head_count", QUERY_HEADS);
    number("llama.attention.head_count_kv", KV_HEADS);
    number("llama.context_length", window);
    key("llama.rope.freq_base", 6);
    header.putFloat(500_000);
    key("llama.attention.layer_norm_rms_epsilon", 6);
    header.putFloat(1e-5f);
    text("tokenizer.ggml.model", "gpt2");
    text("tokenizer.ggml.pre", "gpt-2");
    vocabulary();
    key("tokenizer.ggml.merges", 9);
    header.putInt(8).putLong(0);
    number("tokenizer.ggml.eos_token_id", VOCAB - 1);
    key("tokenizer.ggml.add_bos_token", 7);
    header.put((byte) 0);
    tensors.forEach(Runnable::run);
    header.position((header.position() + 31) & -32);
    try (FileChannel out =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING)) {
      write(out, header.flip());
      ByteBuffer block = randomNumbers();
      for (long left = MATRICES_BYTES; left > 0; left -= block.limit()) {
        write(out, block.rewind().limit((int) Math.min(block.capacity(), left)));
      }
      ByteBuffer ones = ByteBuffer.allocate(4 * HIDDEN).order(ByteOrder.LITTLE_ENDIAN);
      while (ones.hasRemaining()) {
        ones.putFloat(1);
      }
      write(out, ones.flip());
    }
  }

  private static void write(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  private ByteBuffer randomNumbers() {
    ByteBuffer block = ByteBuffer.allocateDirect(2 * BLOCK_NUMBERS).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < BLOCK_NUMBERS; i++) {
      float number = (float) random.nextGaussian() * 0.02f;
      block.putShort((short) (Float.floatToIntBits(number) >>> 16));
    }
    return block;
  }

  private void matrix(String name, long rows, long columns) {
    long room = MATRICES_BYTES - 2 * rows * columns;
    long offset = room == 0 ? 0 : random.nextLong(room) & -32;
    tensors.add(
        () -> {
          string(name);
          header.putInt(2).putLong(columns).putLong(rows).putInt(BF16).putLong(offset);
        });
  }

  private void norm(String name) {
    tensors.add(
        () -> {
          string(name);
          header.putInt(1).putLong(HIDDEN).putInt(F32).putLong(MATRICES_BYTES);
        });
  }

  /** The 256 bytes as GPT-2 writes them, tokens that no text holds, and the end. */
  private void vocabulary() {
    key("tokenizer.ggml.tokens", 9);
    header.putInt(8).putLong(VOCAB);
    int shifted = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= 33 && b <= 126 || b >= 161 && b <= 172 || b >= 174;
      string(Character.toString(printable ? b : shifted++));
    }
    for (int token = 256; token < VOCAB - 1; token++) {
      string("<t" + token + ">");
    }
    string("<end>");
    key("tokenizer.ggml.token_type", 9);
    header.putInt(5).putLong(VOCAB);
    for (int token = 0; token < VOCAB; token++) {
      header.putInt(token == VOCAB - 1 ? 3 : 1);
    }
  }

  private void text(String key, String value) {
    key(key, 8);
    string(value);
  }

  private void number(String key, int value) {
    key(key, 4);
    header.putInt(value);
  }

  private void key(String key, int type) {
    string(key);
    header.putInt(type);
  }

  private void string(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    header.putLong(bytes.length).put(bytes);
  }
}
