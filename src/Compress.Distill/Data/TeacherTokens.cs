using System.Globalization;
using Compress.Formats;
using Compress.Formats.Checkpoints;

namespace Compress.Distill.Data;

/// <summary>Checks that two models mean the same by a token id.</summary>
public static class TeacherTokens
{
    private const int MostShown = 3;

    /// <summary>Compares the vocabularies of student and teacher.</summary>
    /// <exception cref="ModelFileException">They differ; the first differing tokens are named.</exception>
    public static void RequireSame(ModelFolder student, ModelFolder teacher)
    {
        ArgumentNullException.ThrowIfNull(student);
        ArgumentNullException.ThrowIfNull(teacher);
        if (student.Spec.VocabularySize != teacher.Spec.VocabularySize)
        {
            throw new ModelFileException(teacher.Path, string.Create(CultureInfo.InvariantCulture,
                $"the teacher's head has {teacher.Spec.VocabularySize} tokens, the student's {student.Spec.VocabularySize}."),
                "Logits can only be compared over the same tokens: choose a teacher with the student's tokenizer.");
        }
        var (mine, theirs) = (student.LoadTokenizer(), teacher.LoadTokenizer());
        var differing = Enumerable.Range(0, Math.Max(mine.VocabularySize, theirs.VocabularySize))
            .Where(id => mine.TokenOf(id) != theirs.TokenOf(id)).Take(MostShown + 1).ToList();
        if (differing.Count == 0) return;
        var shown = differing.Take(MostShown).Select(id => string.Create(CultureInfo.InvariantCulture,
            $"{id} ('{mine.TokenOf(id) ?? "none"}' and '{theirs.TokenOf(id) ?? "none"}')"));
        var more = differing.Count > MostShown ? " and more" : "";
        throw new ModelFileException(teacher.Path, $"the teacher's tokens are not the student's: {string.Join(", ", shown)}{more}.",
            "Choose a teacher with the student's tokenizer.");
    }
}
