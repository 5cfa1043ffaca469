package org.parallelcomp.engine.generate;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.PolicyCatalog;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TestModels;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.ModelSource;
import org.parallelcomp.engine.model.Decoder;
import org.parallelcomp.engine.model.DecoderWeights;
import org.parallelcomp.engine.model.LayerCaches;
import org.parallelcomp.engine.model.RopeTable;
import org.parallelcomp.engine.model.SequenceInput;
import org.parallelcomp.engine.registry.BackendRegistry;
import org.parallelcomp.engine.registry.PolicyRegistry;
import org.parallelcomp.engine.text.PromptBuilder;
import org.parallelcomp.engine.text.PromptParts;
import org.parallelcomp.engine.text.TextTokenizer;

/** The parts of an engine, open to tests. */
final class TestModel implements AutoCloseable {
  final ModelSource source;
  final Backend backend;
  final MemoryScope scope;
  final DecoderWeights weights;
  final GuisedBackend guise = new GuisedBackend();
  final TextTokenizer tokenizer;
  final PromptBuilder prompts;
  final PolicyCatalog catalog = PolicyRegistry.discover();
  final Decoder decoder;

  TestModel(Path file) {
    source = ModelFiles.open(file);
    backend =
        guise.of(BackendRegistry.discover().open("cpu-vector", new BackendConfig(2, Map.of())));
    scope = backend.openScope("test");
    weights = DecoderWeights.load(backend, scope, source);
    tokenizer = new TextTokenizer(source.tokenizer());
    prompts = new PromptBuilder(tokenizer);
    decoder =
        new Decoder(
            backend,
            source.config(),
            weights,
            scope,
            RopeTable.create(
                backend, scope, source.config().rope(), source.config().trainedWindow()));
  }

  /** Opens needle-6m. */
  static TestModel needle() {
    return new TestModel(TestModels.needle("needle-6m-f16.gguf"));
  }

  /** Returns the tokens of the text that the golden answers of needle-6m are about. */
  int[] goldenText() throws IOException {
    return ids(
        new ObjectMapper()
            .readTree(TestModels.needle("golden.json").toFile())
            .get("parallelcomp")
            .get("context")
            .asText());
  }

  /** Returns a question with few words around it. */
  PromptParts prompt(String question) {
    return prompts.build(new PromptForm("Read this: ", "\n{question}", ""), question);
  }

  /** Returns the tokens of a text. */
  int[] ids(String text) {
    return tokenizer.encode(text).ids();
  }

  /** Returns the logits behind a prompt and, greedily, the tokens that follow it. */
  Continuation continuation(int[] ids, int count) {
    try (MemoryScope caches = scope.child("caches")) {
      var layers = decoder.allocateLayers(caches, ids.length + count);
      Tensor hidden =
          BlockPrefill.forward(
              decoder,
              new SequenceInput(ids, 0, 1, LayerCaches.growing(layers)),
              new Cancellation(),
              BlockPrefill.Listener.NONE);
      float[] first = backend.host().copyToHostFloats(decoder.logits(hidden));
      int[] following = new int[count];
      float[] logits = first;
      for (int i = 0; i < count; i++) {
        following[i] = Sampler.argMax(logits);
        Tensor next =
            BlockPrefill.forward(
                decoder,
                new SequenceInput(
                    new int[] {following[i]}, ids.length + i, 1, LayerCaches.growing(layers)),
                new Cancellation(),
                BlockPrefill.Listener.NONE);
        logits = backend.host().copyToHostFloats(decoder.logits(next));
      }
      return new Continuation(first, following);
    }
  }

  record Continuation(float[] logits, int[] tokenIds) {}

  /** Runs what is pending behind a context and returns the last token's logits. */
  float[] step(ContextRequest request, Context context) {
    Tensor hidden = new AnswerCaches(request, context).runPending(BlockPrefill.Listener.NONE);
    return backend.host().copyToHostFloats(decoder.logits(hidden));
  }

  /** Returns a request whose memory lives in a scope. */
  ContextRequest request(
      MemoryScope requestScope, Plan plan, PromptParts prompt, int[] textIds, int answerTokens) {
    BitSet sentenceEnds = tokenizer.sentenceEnds(textIds);
    return new ContextRequest(
        List.of(new Session(backend, requestScope, decoder)),
        Policies.create(plan, catalog),
        source.weightBytes(),
        prompt,
        textIds,
        sentenceEnds,
        new BitSet(),
        answerTokens,
        new Cancellation(),
        (done, total, tokensDone) -> {},
        Tracer.OFF);
  }

  @Override
  public void close() {
    decoder.close();
    tokenizer.close();
    scope.close();
    backend.close();
  }
}
