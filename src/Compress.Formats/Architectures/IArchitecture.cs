namespace Compress.Formats.Architectures;

/// <summary>One model family: turns its <c>config.json</c> into a <see cref="ModelSpec"/>.</summary>
internal interface IArchitecture
{
    /// <summary>Values of <c>model_type</c> that the family serves.</summary>
    IReadOnlyList<string> ModelTypes { get; }

    /// <summary>The specification.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="stored">Whether the checkpoint holds a tensor of that name; always false where only a configuration is at hand.</param>
    ModelSpec Read(ConfigReader config, Func<string, bool> stored);

    /// <summary>Whether a stored tensor that the specification does not name is a buffer that the family's own code ignores.</summary>
    bool IsBuffer(string tensor) => false;
}
