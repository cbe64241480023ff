using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Compress.Core.Methods;

namespace Compress.Core.Recipes;

/// <summary>One key of a recipe record.</summary>
/// <param name="Name">Key in recipes: the property's name in snake_case.</param>
/// <param name="Property">The property it sets.</param>
/// <param name="Type">The property's type without <see cref="Nullable{T}"/>.</param>
/// <param name="Required">True where no default exists.</param>
/// <param name="Nullable">True where the key may be null.</param>
/// <param name="Default">Value of an instance to which nothing was given; null where required.</param>
/// <param name="Bounds">Inclusive bounds of the number, or null.</param>
/// <param name="Allowed">The only texts allowed, or null.</param>
public sealed record RecipeKey(
    string Name, PropertyInfo Property, Type Type, bool Required, bool Nullable, object? Default, BetweenAttribute? Bounds,
    IReadOnlyList<string>? Allowed)
{
    /// <summary>What may be written: <c>a whole number between 2 and 8</c>.</summary>
    public string Expected => BindContext.ElementType(Type) is not null ? "a list"
        : ScalarBinder.Handles(Type) ? ScalarBinder.Expected(Type, this) : "a mapping of keys";

    /// <summary>The default as a recipe would write it, or null where there is none.</summary>
    public string? DefaultText => Default is not null && ScalarBinder.Handles(Type) ? ScalarBinder.Write(Default) : null;

    /// <summary>Values of an enum with their documentation; null for other types.</summary>
    public IReadOnlyList<(string Name, string? Documentation)>? Values => Type.IsEnum
        ? [.. Enum.GetNames(Type).Select(n => (RecordShape.SnakeCase(n), XmlDocs.Of(Type, n)))]
        : null;
}

/// <summary>The keys of a record that recipes bind to, found once for each type.</summary>
public sealed class RecordShape
{
    private static readonly ConcurrentDictionary<Type, RecordShape> Known = new();

    private RecordShape(Type type)
    {
        Type = type;
        var constructor = type.GetConstructor(Type.EmptyTypes)
            ?? throw new InvalidOperationException($"{type.FullName} needs a parameterless constructor to be bound to a recipe");
        var blank = constructor.Invoke(null);
        var nullability = new NullabilityInfoContext();
        Keys =
        [
            .. type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
                .Where(p => p.SetMethod is { IsPublic: true } && p.GetIndexParameters().Length == 0)
                .OrderBy(p => Depth(p.DeclaringType!)).ThenBy(p => p.MetadataToken)
                .Select(p => KeyOf(p, blank, nullability)),
        ];
    }

    /// <summary>The record.</summary>
    public Type Type { get; }

    /// <summary>Its keys in the order of declaration, inherited ones first.</summary>
    public IReadOnlyList<RecipeKey> Keys { get; }

    /// <summary>The keys of a type.</summary>
    /// <param name="type">A record with init properties and a parameterless constructor.</param>
    /// <exception cref="InvalidOperationException">The type has no parameterless constructor: a bug in its declaration.</exception>
    public static RecordShape Of(Type type) => Known.GetOrAdd(type, t => new RecordShape(t));

    /// <summary>A C# name as recipes write it: <c>GroupSize</c> → <c>group_size</c>.</summary>
    public static string SnakeCase(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);

    private static RecipeKey KeyOf(PropertyInfo property, object blank, NullabilityInfoContext nullability)
    {
        var underlying = System.Nullable.GetUnderlyingType(property.PropertyType);
        var required = property.IsDefined(typeof(RequiredMemberAttribute));
        var nullable = underlying is not null
            || (!property.PropertyType.IsValueType && nullability.Create(property).WriteState == NullabilityState.Nullable);
        return new RecipeKey(
            SnakeCase(property.Name), property, underlying ?? property.PropertyType, required, nullable,
            required ? null : property.GetValue(blank),
            property.GetCustomAttribute<BetweenAttribute>(),
            property.GetCustomAttribute<AllowedValuesAttribute>()?.Values.OfType<string>().ToArray());
    }

    private static int Depth(Type type) => type.BaseType is null ? 0 : 1 + Depth(type.BaseType);
}
