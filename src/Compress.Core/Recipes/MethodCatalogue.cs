using System.Reflection;
using Compress.Core.Methods;
using MethodInfo = Compress.Core.Methods.MethodInfo;

namespace Compress.Core.Recipes;

/// <summary>Every method of the given assemblies, found by <see cref="MethodAttribute"/>. Nothing wrong is passed over.</summary>
public sealed class MethodCatalogue
{
    private MethodCatalogue(IReadOnlyList<MethodInfo> methods) => Methods = methods;

    /// <summary>The methods, by kind, then by name.</summary>
    public IReadOnlyList<MethodInfo> Methods { get; }

    /// <summary>Finds the methods.</summary>
    /// <param name="assemblies">Assemblies to look in.</param>
    /// <exception cref="InvalidOperationException">
    /// Two methods have one name, or one cannot be built from its options: a bug, named by type.
    /// </exception>
    public static MethodCatalogue Discover(params IEnumerable<Assembly> assemblies)
    {
        var types = assemblies.SelectMany(a => a.GetTypes()).Where(t => t.IsDefined(typeof(MethodAttribute), inherit: false));
        return OfTypes(types);
    }

    /// <summary>A catalogue of the given classes.</summary>
    /// <param name="types">Classes that carry <see cref="MethodAttribute"/>.</param>
    /// <exception cref="InvalidOperationException">As <see cref="Discover"/>.</exception>
    public static MethodCatalogue OfTypes(params IEnumerable<Type> types)
    {
        var methods = types.Select(InfoOf)
            .OrderBy(m => m.Attribute.Kind).ThenBy(m => m.Attribute.Name, StringComparer.Ordinal).ToList();
        foreach (var same in methods.GroupBy(m => m.Attribute.Name).Where(g => g.Count() > 1))
            throw new InvalidOperationException(
                $"method {same.Key} is declared by {string.Join(" and ", same.Select(m => m.Type.FullName))}");
        return new MethodCatalogue(methods);
    }

    /// <summary>The methods of a kind of stage.</summary>
    public IEnumerable<MethodInfo> Of(StageKind kind) => Methods.Where(m => m.Attribute.Kind == kind);

    /// <summary>A method by kind and name, or null.</summary>
    public MethodInfo? Find(StageKind kind, string name) => Of(kind).FirstOrDefault(m => m.Attribute.Name == name);

    private static MethodInfo InfoOf(Type type)
    {
        var attribute = type.GetCustomAttribute<MethodAttribute>(inherit: false)
            ?? throw new InvalidOperationException($"{type.FullName} carries no [Method]");
        if (type.IsAbstract || !typeof(IMethod).IsAssignableFrom(type))
            throw new InvalidOperationException($"{type.FullName} is not a class that implements {nameof(IMethod)}");
        var options = type.GetNestedType("Options")
            ?? throw new InvalidOperationException($"{type.FullName} has no public nested Options record");
        var constructor = type.GetConstructor([options])
            ?? throw new InvalidOperationException($"{type.FullName} has no public constructor that takes its Options");
        var clash = RecordShape.Of(options).Keys.FirstOrDefault(k => StageBinder.CommonKeys.Contains(k.Name));
        if (clash is not null)
            throw new InvalidOperationException(
                $"{options.FullName}.{clash.Property.Name} hides the key '{clash.Name}' that every stage has");
        return new MethodInfo(attribute, type, options, constructor);
    }
}
