using System.Text.Json;
using Compress.Core.Evaluation;

namespace Compress.Core.Tests.Evaluation;

public class EvaluationResultTests
{
    /// <summary>Scripts read these keys: renaming a property breaks them.</summary>
    [Fact]
    public void Json_keys_are_stable()
    {
        string[] expected =
        [
            "protocol", "dataset", "dataset_sha256", "window", "stride", "beginning_of_sequence", "windows", "tokens", "text_tokens", "bytes",
            "precision", "engine", "mean_nll", "perplexity", "perplexity_standard_error", "bits_per_byte", "reference_perplexity",
            "reference_perplexity_standard_error", "reference_bits_per_byte", "perplexity_ratio", "perplexity_ratio_standard_error",
            "kl_mean", "kl_mean_standard_error", "kl_median", "kl_p99", "kl_p999", "kl_max", "top1_agreement",
            "top1_agreement_standard_error",
        ];
        Assert.Equal(expected, typeof(EvaluationResult).GetProperties().Select(p => JsonNamingPolicy.SnakeCaseLower.ConvertName(p.Name)));
    }
}
