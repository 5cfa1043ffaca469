package org.parallelcomp.report;

import com.samskivert.mustache.Mustache;
import com.samskivert.mustache.Template;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.parallelcomp.api.backend.BackendInfo;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.ModelInfo;

/**
 * One question, its answer, and why: what was kept and where attention went, as one page that holds
 * everything itself. No script runs in it, and it loads nothing: a policy in its head forbids both.
 *
 * @param text the text that was asked about
 * @param question the question
 * @param result what came of it; its request was traced
 * @param model the model
 * @param backend what computed
 * @param facts what else repeats the run, such as versions and the command, in the order in which
 *     it shall be shown
 */
public record Report(
    String text,
    String question,
    GenerationResult result,
    ModelInfo model,
    BackendInfo backend,
    Map<String, String> facts) {
  public Report {
    facts = Collections.unmodifiableMap(new LinkedHashMap<>(facts));
    if (result.trace() == null) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "A report needs a trace, which the request did not ask for.");
    }
  }

  /** Returns the page, to be written in UTF-8. */
  public String html() {
    Page page = new PageBuilder(this, Objects.requireNonNull(result.trace())).page();
    return Layout.TEMPLATE.execute(page);
  }

  /** The template, read once; whatever it inserts is escaped, but for the style sheet. */
  private static final class Layout {
    static final Template TEMPLATE =
        Mustache.compiler().strictSections(true).compile(resource("page.mustache"));
    static final String CSS = resource("page.css");
  }

  static String css() {
    return Layout.CSS;
  }

  private static String resource(String name) {
    try (InputStream stream = Report.class.getResourceAsStream(name)) {
      return new String(
          Objects.requireNonNull(stream, name).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
