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
 * Writes a GGUF file with the shape of a known model, random BF16 weights and a token for every
 * byte, and a text of a given number of tokens, so that the command can be measured where there are
 * no models. All matrices are parts of the one largest, which leaves a file of 1 GB for the shape
 * of Llama-3.1-8B; a device loads each of them, 16 GB in all. A program, not a test.
 *
 * <pre>
 * SyntheticModel model.gguf [window [layers [shape]]]    a shape's own layers: 0
 * SyntheticModel text.txt tokens
 * </pre>
 */
public final class SyntheticModel {
  /** The numbers of a model. */
  private record ModelShape(
      String name,
      int layers,
      int hiddenDim,
      int feedForwardDim,
      int queryHeads,
      int kvHeads,
      int headDim,
      int vocab) {}

  private static final List<ModelShape> SHAPES =
      List.of(
          new ModelShape("llama-3.1-8b", 32, 4096, 14336, 32, 8, 128, 128256),
          new ModelShape("smollm2-135m", 30, 576, 1536, 9, 3, 64, 49152));

  private static final int F32 = 0;
  private static final int BF16 = 30;
  private static final int METADATA = 17;

  private static final int BLOCK_NUMBERS = (8 << 20) + 4128;

  private final Random random = new Random(1);
  private final ByteBuffer header = ByteBuffer.allocate(64 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private final List<Runnable> tensors = new ArrayList<>();
  private final ModelShape shape;
  private final long matricesBytes;

  private SyntheticModel(ModelShape shape) {
    this.shape = shape;
    this.matricesBytes = 2L * shape.hiddenDim * shape.vocab;
  }

  /** Writes a model or a text. */
  public static void main(String[] arguments) throws IOException {
    Path file = Path.of(arguments[0]);
    if (file.toString().endsWith(".txt")) {
      Files.writeString(file, text(Integer.parseInt(arguments[1])));
    } else {
      int window = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 8192;
      int layers = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 0;
      ModelShape shape = shape(arguments.length > 3 ? arguments[3] : "llama-3.1-8b");
      new SyntheticModel(shape).write(file, window, layers == 0 ? shape.layers : layers);
    }
  }

  private static ModelShape shape(String name) {
    return SHAPES.stream()
        .filter(shape -> shape.name.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "no shape " + name + " in " + SHAPES.stream().map(ModelShape::name).toList()));
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
    int hidden = shape.hiddenDim;
    int attended = shape.queryHeads * shape.headDim;
    int keys = shape.kvHeads * shape.headDim;
    matrix("token_embd.weight", shape.vocab, hidden);
    matrix("output.weight", shape.vocab, hidden);
    norm("output_norm.weight");
    for (int layer = 0; layer < layers; layer++) {
      String block = "blk." + layer + ".";
      norm(block + "attn_norm.weight");
      matrix(block + "attn_q.weight", attended, hidden);
      matrix(block + "attn_k.weight", keys, hidden);
      matrix(block + "attn_v.weight", keys, hidden);
      matrix(block + "attn_output.weight", hidden, attended);
      norm(block + "ffn_norm.weight");
      matrix(block + "ffn_gate.weight", shape.feedForwardDim, hidden);
      matrix(block + "ffn_up.weight", shape.feedForwardDim, hidden);
      matrix(block + "ffn_down.weight", hidden, shape.feedForwardDim);
    }
    header.putInt(0x46554747).putInt(3).putLong(tensors.size()).putLong(METADATA);
    text("general.architecture", "llama");
    text("general.name", "synthetic-" + shape.name);
    number("llama.block_count", layers);
    number("llama.embedding_length", hidden);
    number("llama.feed_forward_length", shape.feedForwardDim);
    number("llama.attention.head_count", shape.queryHeads);
    number("llama.attention.head_count_kv", shape.kvHeads);
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
    number("tokenizer.ggml.eos_token_id", shape.vocab - 1);
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
      for (long left = matricesBytes; left > 0; left -= block.limit()) {
        write(out, block.rewind().limit((int) Math.min(block.capacity(), left)));
      }
      ByteBuffer ones = ByteBuffer.allocate(4 * hidden).order(ByteOrder.LITTLE_ENDIAN);
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
    long room = matricesBytes - 2 * rows * columns;
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
          header.putInt(1).putLong(shape.hiddenDim).putInt(F32).putLong(matricesBytes);
        });
  }

  /** The 256 bytes as GPT-2 writes them, tokens that no text holds, and the end. */
  private void vocabulary() {
    key("tokenizer.ggml.tokens", 9);
    header.putInt(8).putLong(shape.vocab);
    int shifted = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= 33 && b <= 126 || b >= 161 && b <= 172 || b >= 174;
      string(Character.toString(printable ? b : shifted++));
    }
    for (int token = 256; token < shape.vocab - 1; token++) {
      string("<t" + token + ">");
    }
    string("<end>");
    key("tokenizer.ggml.token_type", 9);
    header.putInt(5).putLong(shape.vocab);
    for (int token = 0; token < shape.vocab; token++) {
      header.putInt(token == shape.vocab - 1 ? 3 : 1);
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
