package org.parallelcomp.engine.text;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.load.TokenizerDefinition;

/**
 * Builds the tokens around a chunk from chat template, words and question.
 *
 * <pre>
 * prefix:  begin-of-sequence, template before the user's words, instruction
 *          (here stands the chunk)
 * query:   question form with the question, template behind the user's words, lead of the answer
 * </pre>
 *
 * Special tokens are recognised in the template's own text only. What lies between two of them is
 * tokenised as one string, since tokens may span the seam of template and words.
 */
public final class PromptBuilder {
  /** Stands for the user's words while the template is rendered; no template has it. */
  private static final String USER = "\uE000";

  private final TextTokenizer tokenizer;
  private final TokenizerDefinition definition;
  private @Nullable Chat chat;

  /** What the template writes around the user's words; empty without a template. */
  private record Chat(String before, String behind) {}

  /** Takes the tokenizer; the template is rendered at the first use. */
  public PromptBuilder(TextTokenizer tokenizer) {
    this.tokenizer = tokenizer;
    this.definition = tokenizer.definition();
  }

  /**
   * Returns what stands before and behind every chunk, in the model's chat template.
   *
   * @throws InferenceException as the other method of this name
   */
  public PromptParts build(PromptForm form, String question) {
    return build(form, question, true);
  }

  /**
   * Returns what stands before and behind every chunk.
   *
   * @param chat whether the words are put into the model's chat template (if it has one)
   * @throws InferenceException INVALID_ARGUMENT if the question is blank; UNSUPPORTED_MODEL if the
   *     template cannot be rendered
   */
  public PromptParts build(PromptForm form, String question, boolean chat) {
    if (question.isBlank()) {
      throw new InferenceException(ErrorCode.INVALID_ARGUMENT, "The question is empty.");
    }
    Chat around = chat ? chat() : new Chat("", "");
    Tokens query = new Tokens();
    int at = form.questionForm().indexOf(PromptForm.QUESTION);
    query.words(form.questionForm().substring(0, at));
    query.question(question);
    query.words(form.questionForm().substring(at + PromptForm.QUESTION.length()));
    query.template(around.behind);
    query.words(form.answerLead());
    int[] queryIds = query.ids();
    return new PromptParts(
        prefix(form, chat).prefix(), queryIds, query.questionFrom, query.questionTo);
  }

  /**
   * Returns what stands before every chunk, with nothing behind it: a text is read before there is
   * a question.
   *
   * @param chat whether the words are put into the model's chat template (if it has one)
   */
  public PromptParts prefix(PromptForm form, boolean chat) {
    Chat around = chat ? chat() : new Chat("", "");
    Tokens prefix = new Tokens();
    prefix.template(around.before);
    prefix.words(form.instruction());
    return new PromptParts(withBegin(prefix.ids()), new int[0], 0, 0);
  }

  /**
   * Returns the tokens of a plain prompt.
   *
   * @param chat whether the prompt is the user's turn of a chat (if the model has a template)
   */
  public int[] prompt(String prompt, boolean chat) {
    Chat around = chat ? chat() : new Chat("", "");
    Tokens tokens = new Tokens();
    tokens.template(around.before);
    tokens.words(prompt);
    tokens.template(around.behind);
    return withBegin(tokens.ids());
  }

  private int[] withBegin(int[] ids) {
    Integer begin = definition.beginOfSequence();
    return begin == null || (ids.length > 0 && ids[0] == begin)
        ? ids
        : IntStream.concat(IntStream.of(begin), IntStream.of(ids)).toArray();
  }

  private synchronized Chat chat() {
    if (chat == null) {
      chat = rendered();
    }
    return chat;
  }

  private Chat rendered() {
    String template = definition.chatTemplate();
    if (template == null) {
      return new Chat("", "");
    }
    Integer begin = definition.beginOfSequence();
    String text =
        new ChatTemplate(template).render(USER, begin == null ? "" : tokenizer.decode(begin));
    int at = text.indexOf(USER);
    if (at < 0 || text.indexOf(USER, at + 1) >= 0) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_MODEL,
          "The model's chat template does not write the user's words exactly once.");
    }
    return new Chat(text.substring(0, at), text.substring(at + 1));
  }

  /** Tokens of a sequence of texts, some of which may hold special tokens. */
  private final class Tokens {
    private final List<int[]> done = new ArrayList<>();
    private final StringBuilder open = new StringBuilder();
    private int doneTokens;
    private int questionFromChar = -1;
    private int questionToChar = -1;
    int questionFrom;
    int questionTo;

    void words(String text) {
      open.append(text);
    }

    void question(String text) {
      questionFromChar = open.length();
      open.append(text);
      questionToChar = open.length();
    }

    void template(String text) {
      int from = 0;
      for (int at = 0; at < text.length(); at++) {
        String special = specialAt(text, at);
        if (special != null) {
          open.append(text, from, at);
          close();
          add(definition.specialTokens().get(special));
          from = at + special.length();
          at = from - 1;
        }
      }
      open.append(text, from, text.length());
    }

    int[] ids() {
      close();
      return done.stream().flatMapToInt(IntStream::of).toArray();
    }

    private void add(int... ids) {
      done.add(ids);
      doneTokens += ids.length;
    }

    /** Tokenises what has gathered since the last special token. */
    private void close() {
      if (open.isEmpty()) {
        return;
      }
      Encoded encoded = tokenizer.encode(open.toString());
      if (questionFromChar >= 0) {
        findQuestion(encoded);
        questionFromChar = -1;
      }
      add(encoded.ids());
      open.setLength(0);
    }

    /** The question's own tokens are those that hold at least one of its characters. */
    private void findQuestion(Encoded encoded) {
      int[] own =
          IntStream.range(0, encoded.tokens())
              .filter(
                  t ->
                      encoded.toChar()[t] > questionFromChar
                          && encoded.fromChar()[t] < questionToChar)
              .toArray();
      if (own.length == 0) {
        throw new InferenceException(
            ErrorCode.INVALID_ARGUMENT, "The tokenizer finds no token in the question.");
      }
      questionFrom = doneTokens + own[0];
      questionTo = doneTokens + own[own.length - 1] + 1;
    }

    /** Returns the longest special token that begins there. */
    private @Nullable String specialAt(String text, int at) {
      String longest = null;
      for (Map.Entry<String, Integer> token : definition.specialTokens().entrySet()) {
        if ((longest == null || token.getKey().length() > longest.length())
            && text.startsWith(token.getKey(), at)) {
          longest = token.getKey();
        }
      }
      return longest;
    }
  }
}
