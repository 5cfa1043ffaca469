package org.parallelcomp.engine.load;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Writes small GGUF files; remembers where each field begins, so that tests can damage it. */
final class GgufWriter {
  private record TensorSpec(String name, int type, long[] extents, byte[] data) {}

  final Map<String, Object> metadata = new LinkedHashMap<>();
  final List<Integer> fieldOffsets = new ArrayList<>();
  int version = 3;
  private final List<TensorSpec> tensors = new ArrayList<>();
  private ByteBuffer out = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);
  private int headerBytes;

  /** A complete model: one layer, byte-level BPE of a few tokens, an embedding in Q8_0. */
  static GgufWriter tinyModel() {
    var w = new GgufWriter();
    w.metadata.put("general.architecture", "llama");
    w.metadata.put("general.name", "tiny");
    w.metadata.put("llama.block_count", 1);
    w.metadata.put("llama.embedding_length", 32);
    w.metadata.put("llama.feed_forward_length", 32);
    w.metadata.put("llama.attention.head_count", 4);
    w.metadata.put("llama.attention.head_count_kv", 2);
    w.metadata.put("llama.context_length", 64);
    w.metadata.put("llama.rope.freq_base", 10000f);
    w.metadata.put("llama.attention.layer_norm_rms_epsilon", 1e-5f);
    w.metadata.put("tokenizer.ggml.model", "gpt2");
    w.metadata.put("tokenizer.ggml.pre", "gpt-2");
    w.metadata.put("tokenizer.ggml.tokens", new String[] {"<end>", "a", "b", "ab"});
    w.metadata.put("tokenizer.ggml.token_type", new int[] {3, 1, 1, 1});
    w.metadata.put("tokenizer.ggml.merges", new String[] {"a b"});
    w.metadata.put("tokenizer.ggml.eos_token_id", 0);
    w.metadata.put("tokenizer.ggml.add_bos_token", false);
    w.tensor("token_embd.weight", 8, 4 * 34, 32, 4);
    w.tensor("output_norm.weight", 0, 32 * 4, 32);
    w.tensor("blk.0.attn_norm.weight", 0, 32 * 4, 32);
    w.tensor("blk.0.attn_q.weight", 1, 32 * 32 * 2, 32, 32);
    w.tensor("blk.0.attn_k.weight", 1, 16 * 32 * 2, 32, 16);
    w.tensor("blk.0.attn_v.weight", 1, 16 * 32 * 2, 32, 16);
    w.tensor("blk.0.attn_output.weight", 2, 32 * 18, 32, 32);
    w.tensor("blk.0.ffn_norm.weight", 0, 32 * 4, 32);
    w.tensor("blk.0.ffn_gate.weight", 3, 32 * 20, 32, 32);
    w.tensor("blk.0.ffn_up.weight", 30, 32 * 32 * 2, 32, 32);
    w.tensor("blk.0.ffn_down.weight", 1, 32 * 32 * 2, 32, 32);
    return w;
  }

  /** Adds a tensor; extents innermost first, as in the file. */
  GgufWriter tensor(String name, int type, int bytes, long... extents) {
    return tensor(name, type, new byte[bytes], extents);
  }

  GgufWriter tensor(String name, int type, byte[] data, long... extents) {
    tensors.removeIf(t -> t.name.equals(name));
    tensors.add(new TensorSpec(name, type, extents, data));
    return this;
  }

  void dropTensor(String name) {
    tensors.removeIf(t -> t.name.equals(name));
  }

  int headerBytes() {
    return headerBytes;
  }

  Path write(Path path) throws IOException {
    return Files.write(path, bytes());
  }

  byte[] bytes() {
    out.clear();
    fieldOffsets.clear();
    field().putInt(GgufFile.MAGIC);
    field().putInt(version);
    field().putLong(tensors.size());
    field().putLong(metadata.size());
    metadata.forEach(
        (key, value) -> {
          string(key);
          value(value);
        });
    long offset = 0;
    for (TensorSpec t : tensors) {
      string(t.name);
      field().putInt(t.extents.length);
      for (long extent : t.extents) {
        field().putLong(extent);
      }
      field().putInt(t.type);
      field().putLong(offset);
      offset = align(offset + t.data.length);
    }
    headerBytes = out.position();
    long data = align(out.position());
    offset = data;
    for (TensorSpec t : tensors) {
      out.position((int) offset);
      out.put(t.data);
      offset = align(offset + t.data.length);
    }
    byte[] bytes = new byte[out.position()];
    out.get(0, bytes);
    return bytes;
  }

  private void value(Object value) {
    switch (value) {
      case String s -> {
        field().putInt(8);
        string(s);
      }
      case Integer i -> {
        field().putInt(4);
        field().putInt(i);
      }
      case Float f -> {
        field().putInt(6);
        field().putFloat(f);
      }
      case Boolean b -> {
        field().putInt(7);
        field().put((byte) (b ? 1 : 0));
      }
      case String[] all -> {
        array(8, all.length);
        for (String s : all) {
          string(s);
        }
      }
      case int[] all -> {
        array(5, all.length);
        for (int i : all) {
          field().putInt(i);
        }
      }
      case float[] all -> {
        array(6, all.length);
        for (float f : all) {
          field().putFloat(f);
        }
      }
      default -> throw new IllegalArgumentException(value.toString());
    }
  }

  private void array(int type, int count) {
    field().putInt(9);
    field().putInt(type);
    field().putLong(count);
  }

  private void string(String s) {
    byte[] bytes = s.getBytes(StandardCharsets.UTF_8);
    field().putLong(bytes.length);
    field().put(bytes);
  }

  private ByteBuffer field() {
    fieldOffsets.add(out.position());
    return out;
  }

  private static long align(long offset) {
    return (offset + 31) & -32L;
  }
}
