package org.parallelcomp.engine.text;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.el.JinjavaProcessors;
import com.hubspot.jinjava.el.ext.NamedParameter;
import com.hubspot.jinjava.interpret.Context;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import com.hubspot.jinjava.loader.ResourceNotFoundException;
import com.hubspot.jinjava.objects.Namespace;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * A chat template in Jinja, as models bring one, rendered with the settings of Hugging Face (blocks
 * trimmed). The template comes from a file of unknown origin, so it sees nothing but the messages:
 * no file, class or address, and its depth, output and time are bounded.
 */
public final class ChatTemplate {
  private static final int MAX_OUTPUT_CHARS = 1 << 20;
  private static final int MAX_ITEMS = 10_000;

  /**
   * A clock's time, so a busy machine needs room: the first template also loads the renderer, which
   * takes a second when idle and was seen to take more than five when not.
   */
  private static final long MAX_MILLIS = 20_000;

  /** Python that jinjava does not know, and the same in words that it does. */
  private static final Map<Pattern, String> REWRITES =
      Map.of(
          Pattern.compile("\\[::-1]"), "|reverse|list",
          Pattern.compile("[.]startswith\\("), ".startsWith(",
          Pattern.compile("[.]endswith\\("), ".endsWith(",
          Pattern.compile("[.]lstrip\\(\\)"), ".stripLeading()",
          Pattern.compile("[.]rstrip\\(\\)"), ".stripTrailing()",
          Pattern.compile("[.]upper\\(\\)"), ".toUpperCase()",
          Pattern.compile("[.]lower\\(\\)"), ".toLowerCase()");

  /** Values of a namespace need brackets, since jinjava binds "=" before any operator. */
  private static final Pattern NAMESPACE = Pattern.compile("\\bnamespace\\(([^()]*)\\)");

  private static final Pattern NAMED_VALUE = Pattern.compile("(\\w+)\\s*=\\s*([^,]+)");

  /** What the template on this thread refused with; jinjava keeps no message of a function. */
  private static final ThreadLocal<String> REFUSAL = new ThreadLocal<>();

  private final String source;

  /** Takes a template's source. */
  public ChatTemplate(String source) {
    String rewritten = source;
    for (var rewrite : REWRITES.entrySet()) {
      rewritten = rewrite.getKey().matcher(rewritten).replaceAll(rewrite.getValue());
    }
    this.source =
        NAMESPACE
            .matcher(rewritten)
            .replaceAll(
                call ->
                    Matcher.quoteReplacement(
                        "namespace("
                            + NAMED_VALUE.matcher(call.group(1)).replaceAll("$1=($2)")
                            + ")"));
  }

  /**
   * Returns the chat of one user's turn, up to where the assistant's answer begins.
   *
   * @param content the user's words
   * @param beginOfSequence the text of the begin-of-sequence token, or an empty one
   * @throws InferenceException UNSUPPORTED_MODEL if the template cannot be rendered
   */
  public String render(String content, String beginOfSequence) {
    Map<String, Object> message = new LinkedHashMap<>(Map.of("role", "user", "content", content));
    Map<String, Object> context = new LinkedHashMap<>();
    context.put("messages", new ArrayList<>(List.of(message)));
    context.put("add_generation_prompt", true);
    context.put("bos_token", beginOfSequence);
    context.put("eos_token", "");
    RenderResult result;
    REFUSAL.remove();
    try {
      result = jinjava().renderForResult(source, context);
    } catch (RuntimeException | TemplateTimeout e) {
      throw refused(String.valueOf(e.getMessage()), e);
    }
    String refusal = REFUSAL.get();
    if (refusal != null) {
      throw refused(refusal, null);
    }
    if (result.hasErrors()) {
      throw refused(result.getErrors().getFirst().getMessage(), null);
    }
    return result.getOutput();
  }

  /** Makes a namespace of its named values; called by templates. */
  public static Object namespace(Object... values) {
    Namespace namespace = new Namespace();
    for (Object value : values) {
      if (value instanceof NamedParameter named) {
        namespace.put(named.getName(), named.getValue());
      }
    }
    return namespace;
  }

  /** Refuses the messages; called by templates. */
  public static Object refuse(Object reason) {
    REFUSAL.set(String.valueOf(reason));
    throw new IllegalArgumentException(String.valueOf(reason));
  }

  private static Jinjava jinjava() {
    long deadlineNanos = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(MAX_MILLIS);
    Jinjava jinjava =
        new Jinjava(
            JinjavaConfig.newBuilder()
                .withTrimBlocks(true)
                .withLstripBlocks(true)
                .withNestedInterpretationEnabled(false)
                .withMaxOutputSize(MAX_OUTPUT_CHARS)
                .withMaxStringLength(MAX_OUTPUT_CHARS)
                .withMaxListSize(MAX_ITEMS)
                .withMaxMapSize(MAX_ITEMS)
                .withRangeLimit(MAX_ITEMS)
                .withMaxRenderDepth(10)
                .withMaxMacroRecursionDepth(5)
                .withDisabled(
                    Map.of(Context.Library.TAG, Set.of("include", "import", "from", "extends")))
                .withProcessors(
                    JinjavaProcessors.newBuilder()
                        .withNodePreProcessor(
                            (node, interpreter) -> {
                              if (System.nanoTime() > deadlineNanos) {
                                throw new TemplateTimeout();
                              }
                            })
                        .build())
                .withLegacyOverrides(
                    LegacyOverrides.newBuilder()
                        .withEvaluateMapKeys(true)
                        .withIterateOverMapKeys(true)
                        .withUseNaturalOperatorPrecedence(true)
                        .withParseWhitespaceControlStrictly(true)
                        .withAllowAdjacentTextNodes(true)
                        .withUseTrimmingForNotesAndExpressions(true)
                        .withKeepNullableLoopValues(true)
                        .withHandleBackslashInQuotesOnly(true)
                        .build())
                .build());
    jinjava.setResourceLocator(
        (name, encoding, interpreter) -> {
          throw new ResourceNotFoundException("templates may not read '" + name + "'");
        });
    Context global = jinjava.getGlobalContext();
    global.registerFunction(
        new ELFunctionDefinition("", "namespace", ChatTemplate.class, "namespace", Object[].class));
    global.registerFunction(
        new ELFunctionDefinition(
            "", "raise_exception", ChatTemplate.class, "refuse", Object.class));
    return jinjava;
  }

  private static InferenceException refused(String problem, @Nullable Throwable cause) {
    String firstLine = problem.lines().findFirst().orElse("no reason given");
    return new InferenceException(
        ErrorCode.UNSUPPORTED_MODEL,
        "The model's chat template cannot be rendered: " + firstLine.replaceAll("[.]$", "") + ".",
        cause);
  }

  /** Unwinds a template that takes too long; an error, since jinjava collects exceptions. */
  private static final class TemplateTimeout extends Error {
    private static final long serialVersionUID = 1L;

    TemplateTimeout() {
      super("it takes longer than " + MAX_MILLIS / 1000 + " seconds");
    }
  }
}
