package org.parallelcomp.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.CalibrationPolicy;
import org.parallelcomp.api.policy.Chunk;
import org.parallelcomp.api.policy.ChunkEvictionPolicy;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.ChunkingPolicy;
import org.parallelcomp.api.policy.Parameters;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicyProvider;
import org.parallelcomp.api.policy.Selector;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Policies with one fault each, by what is wrong with them. */
final class BrokenPolicies {
  private static final String SOUND = "Written to be wrong; no paper.";

  /** What is wrong, the rule that says so, and the policy. */
  record Broken(String fault, String rule, PolicyProvider provider) {}

  private BrokenPolicies() {}

  static List<Broken> all() {
    var all = new ArrayList<Broken>();

    // ---- any policy ----
    all.add(broken("hides where it comes from", "P106", budget("Just works.", r -> 1)));
    all.add(
        broken(
            "never decides twice alike",
            "P107",
            made(
                PolicyKind.CHUNK_SCORER,
                p -> chunkScorer(Set.of(), e -> System.nanoTime() % 1000 + e.chunk()))));
    all.add(
        broken(
            "remembers the last request",
            "P108",
            made(
                PolicyKind.CHUNK_SCORER,
                p -> {
                  var calls = new AtomicInteger();
                  return chunkScorer(Set.of(), e -> calls.incrementAndGet());
                })));

    // ---- chunks ----
    all.add(
        chunking(
            "loses the last token of each chunk",
            "P201",
            chunks -> chunks.stream().map(c -> chunk(c, c.fromToken(), c.toToken() - 1)).toList()));
    all.add(chunking("gives the chunks from last to first", "P201", chunks -> chunks.reversed()));
    all.add(
        chunking(
            "overlaps beyond the most that fits",
            "P202",
            chunks ->
                chunks.stream()
                    .map(c -> chunk(c, Math.max(c.index(), c.fromToken() - 3), c.toToken()))
                    .toList()));
    all.add(
        broken(
            "reads a likelihood that it did not declare",
            "P301",
            made(
                PolicyKind.CHUNK_SCORER,
                p -> chunkScorer(Set.of(), e -> e.questionLogLikelihoods().size()))));
    all.add(
        broken(
            "divides by nothing",
            "P302",
            made(
                PolicyKind.CHUNK_SCORER,
                p -> chunkScorer(Set.of(), e -> (double) e.chunk() / e.chunk()))));
    all.add(
        broken(
            "ranks a chunk among those seen so far",
            "P303",
            made(
                PolicyKind.CHUNK_SCORER,
                p -> {
                  var seen = new AtomicInteger();
                  return chunkScorer(Set.of(), e -> seen.getAndAdd(e.chunk()));
                })));
    all.add(
        eviction(
            "holds all until the end",
            "P401",
            q ->
                new Best(q) {
                  @Override
                  public List<Integer> offer(int chunk, double score) {
                    super.offer(chunk, score);
                    return List.of();
                  }
                }));
    all.add(
        eviction(
            "evicts a chunk twice",
            "P402",
            q ->
                new Best(q) {
                  private List<Integer> before = List.of();

                  @Override
                  public List<Integer> offer(int chunk, double score) {
                    List<Integer> evicted = new ArrayList<>(before);
                    before = super.offer(chunk, score);
                    evicted.addAll(before);
                    return evicted;
                  }
                }));
    all.add(
        eviction(
            "keeps the best first",
            "P403",
            q ->
                new Best(q) {
                  @Override
                  public List<Integer> kept() {
                    return super.kept().reversed();
                  }
                }));
    all.add(
        eviction(
            "forgets a chunk",
            "P403",
            q ->
                new Best(q) {
                  @Override
                  public List<Integer> kept() {
                    return super.kept().subList(1, super.kept().size());
                  }
                }));
    all.add(
        eviction(
            "takes NaN for the best worth",
            "P404",
            q ->
                new Best(q) {
                  @Override
                  public List<Integer> offer(int chunk, double score) {
                    return super.offer(chunk, Double.isNaN(score) ? 1e9 : score);
                  }
                }));
    all.add(
        eviction(
            "prefers the later of equal chunks",
            "P405",
            q ->
                new Best(q) {
                  @Override
                  public List<Integer> offer(int chunk, double score) {
                    return super.offer(chunk, score + 1e-9 * chunk);
                  }
                }));
    all.add(eviction("keeps more than fits together", "P406", Best::new));

    // ---- budgets ----
    all.add(broken("keeps more than there is", "P501", budget(SOUND, r -> 256)));
    all.add(
        broken(
            "keeps less of a longer chunk",
            "P502",
            budget(SOUND, r -> r.contextTokens() > 500 ? 1 : r.contextTokens())));

    // ---- token scorers ----
    all.add(scorer("reads keys and declares none", "P601", Set.of(), (e, ops) -> norms(e, ops)));
    all.add(
        scorer(
            "declares values and never reads them",
            "P602",
            Set.of(Evidence.KEYS, Evidence.VALUES),
            (e, ops) -> norms(e, ops)));
    all.add(
        scorer(
            "scores query heads for kv heads",
            "P603",
            Set.of(Evidence.ATTENTION_MASS),
            (e, ops) -> e.attentionMass(0, HeadReduction.NONE)));
    all.add(
        scorer(
            "takes the logarithm of nothing",
            "P604",
            Set.of(Evidence.ATTENTION_MASS),
            (e, ops) -> {
              Tensor mass = e.attentionMass(0, HeadReduction.MEAN);
              return ops.log(ops.subtract(mass, mass));
            }));
    all.add(
        scorer(
            "looks at the whole pass with a window of the question",
            "P605",
            Set.of(Evidence.ATTENTION_MASS),
            (e, ops) -> e.attentionMass(LayerEvidence.WHOLE_PASS, HeadReduction.MEAN)));

    // ---- selectors ----
    all.add(selector("keeps one token too many", "P701", (s, k, ops) -> best(s, k + 1, ops)));
    all.add(
        selector(
            "gives the positions from the last to the first",
            "P702",
            (s, k, ops) -> positions(s, k, ops, head -> reversed(head))));
    all.add(
        selector(
            "keeps its first token twice",
            "P702",
            (s, k, ops) ->
                positions(
                    s,
                    k,
                    ops,
                    head -> {
                      int[] twice = head.clone();
                      for (int i = 1; i < twice.length; i++) {
                        twice[i] = head[i - 1];
                      }
                      return twice;
                    })));
    all.add(
        broken(
            "drops a token where all may stay",
            "P703",
            made(
                PolicyKind.SELECTOR,
                p -> (Selector) (s, k, e, ops) -> best(s, Math.max(0, k - 1), ops))));
    all.add(
        selector(
            "keeps the later of equal tokens",
            "P704",
            (s, k, ops) -> {
              int tokens = s.shape().intDim(1);
              return best(ops.add(s, ops.affine(ops.range(tokens), 1e-4f, 0)), k, ops);
            }));
    all.add(
        selector(
            "protects the first token by a large number only",
            "P705",
            (s, k, ops) -> {
              Tensor later = ops.greaterThan(ops.range(s.shape().intDim(1)), 0.5f);
              return best(ops.where(later, s, ops.full(Shape.of(1), 1e6f)), k, ops);
            }));
    all.add(
        selector(
            "ranks NaN highest",
            "P706",
            (s, k, ops) -> {
              Tensor known = ops.greaterThan(s, Float.NEGATIVE_INFINITY);
              return best(ops.where(known, s, ops.full(Shape.of(1), 1e6f)), k, ops);
            }));
    all.add(
        broken(
            "selects by keys that it did not declare",
            "P707",
            made(
                PolicyKind.SELECTOR,
                p ->
                    (Selector)
                        (s, k, e, ops) ->
                            k == e.contextTokens()
                                ? TokenSelection.everything(e.kvHeads(), k)
                                : best(norms(e, ops), k, ops))));

    // ---- calibration ----
    all.add(
        calibration(
            "gives back what the budget took",
            "P801",
            Set.of(Evidence.ATTENTION_MASS),
            (e, current, ops) -> {
              e.attentionMass(0, HeadReduction.MEAN);
              return TokenSelection.everything(e.kvHeads(), e.contextTokens());
            }));
    all.add(
        calibration(
            "looks at keys that it did not declare",
            "P802",
            Set.of(Evidence.ATTENTION_MASS),
            (e, current, ops) -> {
              e.keys();
              return current;
            }));
    all.add(
        calibration(
            "takes tokens without having looked",
            "P803",
            Set.of(),
            (e, current, ops) ->
                ops.selectWhere(ops.subtract(ops.mask(current), ops.mask(current)))));
    all.add(
        calibration(
            "looks at the whole pass with a window of the question",
            "P804",
            Set.of(Evidence.ATTENTION_MASS),
            (e, current, ops) -> {
              e.attentionMass(LayerEvidence.WHOLE_PASS, HeadReduction.MAX);
              return current;
            }));
    return all;
  }

  private static Broken broken(String fault, String rule, PolicyProvider provider) {
    return new Broken(fault, rule, provider);
  }

  private static PolicyProvider made(PolicyKind kind, Function<Parameters, Object> maker) {
    return made(kind, SOUND, maker);
  }

  private static PolicyProvider made(
      PolicyKind kind, String description, Function<Parameters, Object> maker) {
    return () ->
        List.of(new PolicyFactory<>(kind, "broken", "Is wrong.", description, List.of(), maker));
  }

  private static PolicyProvider budget(String description, BudgetAllocator budget) {
    return made(PolicyKind.BUDGET, description, p -> budget);
  }

  private static ChunkScorer chunkScorer(
      Set<Evidence> requires, Function<ChunkEvidence, Number> score) {
    return new ChunkScorer() {
      @Override
      public Set<Evidence> requires() {
        return requires;
      }

      @Override
      public double score(ChunkEvidence evidence) {
        return score.apply(evidence).doubleValue();
      }
    };
  }

  private static Broken chunking(String fault, String rule, UnaryOperator<List<Chunk>> spoil) {
    ChunkingPolicy honest =
        input -> {
          var chunks = new ArrayList<Chunk>();
          for (int from = 0; from < input.tokens(); from += input.maxChunkTokens()) {
            int to = Math.min(input.tokens(), from + input.maxChunkTokens());
            chunks.add(new Chunk(chunks.size(), from, to));
          }
          return chunks;
        };
    return broken(
        fault,
        rule,
        made(PolicyKind.CHUNKING, p -> (ChunkingPolicy) input -> spoil.apply(honest.split(input))));
  }

  private static Chunk chunk(Chunk old, int from, int to) {
    return new Chunk(old.index(), from, Math.max(from + 1, to));
  }

  /** An honest queue of the two best chunks. */
  private static class Best implements ChunkEvictionPolicy.Queue {
    private final int capacity;
    private final Map<Integer, Double> held = new LinkedHashMap<>();

    Best(int capacity) {
      this.capacity = capacity;
    }

    @Override
    public int capacity() {
      return capacity;
    }

    @Override
    public List<Integer> offer(int chunk, double score) {
      held.put(chunk, Double.isNaN(score) ? Double.NEGATIVE_INFINITY : score);
      if (held.size() <= capacity) {
        return List.of();
      }
      int worst =
          held.keySet().stream().reduce((a, b) -> held.get(b) <= held.get(a) ? b : a).orElseThrow();
      held.remove(worst);
      return List.of(worst);
    }

    @Override
    public List<Integer> kept() {
      return held.keySet().stream().sorted().toList();
    }
  }

  private static Broken eviction(
      String fault, String rule, Function<Integer, ChunkEvictionPolicy.Queue> queue) {
    return broken(
        fault,
        rule,
        made(
            PolicyKind.CHUNK_EVICTION,
            p ->
                (ChunkEvictionPolicy)
                    request -> queue.apply(Math.min(2, request.chunks().size()))));
  }

  private static Broken scorer(
      String fault,
      String rule,
      Set<Evidence> requires,
      java.util.function.BiFunction<LayerEvidence, TensorOps, Tensor> score) {
    return broken(
        fault,
        rule,
        made(
            PolicyKind.TOKEN_SCORER,
            p ->
                new TokenScorer() {
                  @Override
                  public Set<Evidence> requires() {
                    return requires;
                  }

                  @Override
                  public Tensor score(LayerEvidence evidence, TensorOps ops) {
                    return score.apply(evidence, ops);
                  }
                }));
  }

  private static Tensor norms(LayerEvidence evidence, TensorOps ops) {
    return ops.l2Norm(evidence.keys(), -1);
  }

  @FunctionalInterface
  private interface Choice {
    TokenSelection choose(Tensor scores, int keptTokens, TensorOps ops);
  }

  /** A selector that is honest about keeping everything, and nothing. */
  private static Broken selector(String fault, String rule, Choice choice) {
    return broken(
        fault,
        rule,
        made(
            PolicyKind.SELECTOR,
            p ->
                (Selector)
                    (scores, kept, evidence, ops) ->
                        kept == evidence.contextTokens()
                            ? TokenSelection.everything(evidence.kvHeads(), kept)
                            : choice.choose(scores, kept, ops)));
  }

  private static TokenSelection best(Tensor scores, int kept, TensorOps ops) {
    return TokenSelection.uniform(scores.shape().intDim(1), ops.topK(scores, kept));
  }

  /**
   * Spoils the positions of the best tokens: their numbers are known where all scores are equal.
   */
  private static TokenSelection positions(
      Tensor scores, int kept, TensorOps ops, UnaryOperator<int[]> spoil) {
    int heads = scores.shape().intDim(0);
    int[] spoilt = spoil.apply(IntStream.range(0, kept).toArray());
    // Positions cannot be written by a policy; rows of single positions can be put together.
    var columns = new ArrayList<Tensor>();
    for (int position : spoilt) {
      Tensor only = ops.full(Shape.of(heads, position + 1), 0);
      Tensor last = ops.greaterThan(ops.range(position + 1), position - 0.5f);
      columns.add(ops.topK(ops.add(only, last), 1));
    }
    return columns.isEmpty()
        ? best(scores, 0, ops)
        : TokenSelection.uniform(scores.shape().intDim(1), ops.concat(columns, 1));
  }

  private static int[] reversed(int[] head) {
    int[] turned = head.clone();
    Arrays.setAll(turned, i -> head[head.length - 1 - i]);
    return turned;
  }

  @FunctionalInterface
  private interface Calibrate {
    TokenSelection calibrate(LayerEvidence evidence, TokenSelection current, TensorOps ops);
  }

  private static Broken calibration(
      String fault, String rule, Set<Evidence> requires, Calibrate calibrate) {
    return broken(
        fault,
        rule,
        made(
            PolicyKind.CALIBRATION,
            p ->
                new CalibrationPolicy() {
                  @Override
                  public Set<Evidence> requires(int layer, int layers) {
                    return requires;
                  }

                  @Override
                  public TokenSelection calibrate(
                      LayerEvidence evidence, TokenSelection current, TensorOps ops) {
                    return calibrate.calibrate(evidence, current, ops);
                  }
                }));
  }
}
