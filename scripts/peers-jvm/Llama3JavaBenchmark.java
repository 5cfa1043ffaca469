package com.llama4j;

import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;

/**
 * Times llama3.java on random tokens. It calls Llama.forward itself, since the tokenizer takes
 * Llama 3's vocabulary only; the batch is the program's own default.
 *
 * <pre>
 * Llama3JavaBenchmark MODEL.gguf PREFILL_TOKENS DECODE_TOKENS REPETITIONS
 * </pre>
 */
final class Llama3JavaBenchmark {
  private static final int BATCH = 16;

  public static void main(String[] args) throws Exception {
    Path path = Path.of(args[0]);
    int prefill = Integer.parseInt(args[1]);
    int decode = Integer.parseInt(args[2]);
    int repetitions = Integer.parseInt(args[3]);
    String engine = "llama3.java, " + path.getFileName();
    Llama model = load(path, Math.max(prefill, 1) + decode);
    time(engine, "pp" + prefill, prefill, repetitions, () -> run(model, prefill, 0));
    time(engine, "tg" + decode, decode, repetitions, () -> run(model, 1, decode));
  }

  /** PeerTimer stands in the unnamed package, which a named one cannot import. */
  private static void time(String engine, String test, int tokens, int repetitions, Runnable run)
      throws ReflectiveOperationException {
    Class.forName("PeerTimer")
        .getMethod("report", String.class, String.class, int.class, int.class, Runnable.class)
        .invoke(null, engine, test, tokens, repetitions, run);
  }

  private static Llama load(Path path, int positions) throws Exception {
    try (FileChannel channel = FileChannel.open(path)) {
      GGUF gguf = GGUF.loadModel(channel, path.toString());
      Map<String, Object> metadata = gguf.getMetadata();
      var config =
          new Llama.Configuration(
                  (int) metadata.get("llama.embedding_length"),
                  (int) metadata.get("llama.feed_forward_length"),
                  (int) metadata.get("llama.block_count"),
                  (int) metadata.get("llama.attention.head_count"),
                  (int) metadata.get("llama.attention.head_count_kv"),
                  ((String[]) metadata.get("tokenizer.ggml.tokens")).length,
                  (int) metadata.get("llama.context_length"),
                  (float) metadata.get("llama.attention.layer_norm_rms_epsilon"),
                  (float) metadata.get("llama.rope.freq_base"))
              .withContextLength(positions);
      var tensors = GGUF.loadTensors(channel, gguf.getTensorDataOffset(), gguf.getTensorInfos());
      return new Llama(config, null, ModelLoader.loadWeights(tensors, config));
    }
  }

  private static void run(Llama model, int prefill, int decode) {
    var random = new Random(1);
    int vocab = model.configuration().vocabularySize;
    var state = new Llama.State(model.configuration(), BATCH);
    int[] prompt = random.ints(prefill, 0, vocab).toArray();
    for (int from = 0; from < prefill; from += BATCH) {
      int to = Math.min(prefill, from + BATCH);
      Llama.forward(model, state, Arrays.copyOfRange(prompt, from, to), from, to == prefill);
    }
    for (int i = 0; i < decode; i++) {
      Llama.forward(model, state, new int[] {random.nextInt(vocab)}, prefill + i, true);
    }
  }
}
