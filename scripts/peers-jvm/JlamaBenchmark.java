import com.github.tjake.jlama.model.AbstractModel;
import com.github.tjake.jlama.model.ModelSupport;
import com.github.tjake.jlama.safetensors.DType;
import com.github.tjake.jlama.safetensors.SafeTensorSupport;
import com.github.tjake.jlama.tensor.FloatBufferTensor;
import com.github.tjake.jlama.tensor.KvBufferCache;
import java.io.File;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;

/**
 * Times Jlama with 4-bit weights on random tokens, two threads.
 *
 * <pre>
 * JlamaBenchmark SAFETENSORS_FOLDER Q4_FOLDER PREFILL_TOKENS DECODE_TOKENS REPETITIONS
 * </pre>
 */
final class JlamaBenchmark {
  public static void main(String[] args) throws Exception {
    File quantized = new File(args[1]);
    if (!quantized.exists()) {
      SafeTensorSupport.quantizeModel(
          Path.of(args[0]), DType.Q4, new String[0], new String[0], Optional.of(Path.of(args[1])));
    }
    int prefill = Integer.parseInt(args[2]);
    int decode = Integer.parseInt(args[3]);
    int repetitions = Integer.parseInt(args[4]);
    AbstractModel model =
        ModelSupport.loadModel(
            quantized, null, DType.F32, DType.I8, Optional.empty(), Optional.of(2));
    PeerTimer.report(
        "Jlama, Q4", "pp" + prefill, prefill, repetitions, () -> run(model, prefill, 0));
    PeerTimer.report("Jlama, Q4", "tg" + decode, decode, repetitions, () -> run(model, 1, decode));
    System.exit(0); // its threads are no daemons
  }

  private static void run(AbstractModel model, int prefill, int decode) {
    var random = new Random(1);
    int vocab = model.getConfig().vocabularySize;
    try (var kv = new KvBufferCache(model).getKvBuffer(UUID.randomUUID());
        var logits = new FloatBufferTensor(1, vocab)) {
      var states = model.batchForward(random.ints(prefill, 0, vocab).toArray(), 0, kv);
      model.sample(states.slice(states.shape().first() - 1), 0f, 0.5f, logits);
      states.close();
      for (int i = 0; i < decode; i++) {
        try (var state = model.forward(random.nextInt(vocab), prefill + i, kv, Optional.empty())) {
          model.sample(state, 0f, 0.5f, logits);
        }
      }
    }
  }
}
