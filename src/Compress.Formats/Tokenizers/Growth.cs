namespace Compress.Formats.Tokenizers;

/// <summary>Stops rules out of a file from making a text many times longer, one after the other, until it fills the memory.</summary>
static class Growth
{
    /// <summary>How many steps a sequence of normalizers, pre-tokenizers or decoders may have.</summary>
    internal const int MostSteps = 64;

    const long Allowance = 65_536;
    const long MostTimes = 64;

    /// <summary>Refuses a text that has grown beyond what any honest file does.</summary>
    /// <exception cref="FormatException">It has.</exception>
    internal static void Check(long before, long after)
    {
        if (after > Allowance + MostTimes * before) throw new FormatException($"the rules make a text of {before} characters longer than {MostTimes} times");
    }
}
